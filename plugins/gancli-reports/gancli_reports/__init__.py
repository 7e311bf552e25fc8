"""Reports: trained runs beside each other, one on a page, and what is in a data set."""

from gancli.plugins.listing import listing
from gancli.plugins.registry import ARCHITECTURES, Entry


def test_F36_listing_imports_nothing_of_others(monkeypatch):
    other = Entry("other", "gancli.architectures", "no_such_module:Nothing", "someone", "1.0", "theirs")
    monkeypatch.setattr(ARCHITECTURES, "entries", lambda: [other])
    assert listing(ARCHITECTURES) == [{"name": "other", "distribution": "someone", "version": "1.0", "summary": "theirs"}]

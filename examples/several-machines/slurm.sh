#!/usr/bin/env bash
# One training on two machines of a Slurm cluster, which may pre-empt it: `sbatch slurm.sh`.
#
# Before Slurm takes the machines away it sends SIGTERM: the training saves and ends, Slurm queues the job again under the same
# number, and `--resume auto` goes on with the run of that number, in the same bits.
#SBATCH --job-name=gancli
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -uo pipefail

run="job-$SLURM_JOB_ID"
runs="${RUNS:-runs}" # on a file system that the first machine of every attempt sees
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" --max-restarts 3 \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$first:29400" \
    -m gancli train --runs-dir "$runs" --name "$run" --resume auto "$@"
code=$?

# At its time limit the job is not queued again by itself. What has failed is left for somebody to look at.
if grep -q '"status": "stopped"' "$runs/$run/run.json"; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

"""What a run reports now and then; without torch, so that whoever reads a run's folder starts fast."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Status:
    """One report of a run."""

    step: int  # steps done
    steps: int
    people: int  # seen so far, over all ranks
    loss: float  # mean over the steps since the last report
    losses: dict[str, float]  # the terms whose sum it is
    lr: float
    grad_norm: float
    people_per_s: float
    mfu: float | None  # share of the GPU's arithmetic that is used, see throughput; None where its peak is unknown
    data_wait: float  # share of the time in which the loop waited for data
    eta_s: float
    members: dict[str, int]  # people of each member of the mixture since the last report, on this rank
    replaced: dict[str, int]  # of them people who could not be read, in whose place the next came

    def __str__(self) -> str:
        """Return the report as one line for a terminal."""
        terms = " ".join(f"{name} {value:.3g}" for name, value in self.losses.items())
        minutes, seconds = divmod(round(self.eta_s), 60)
        used = "" if self.mfu is None else f"  mfu {self.mfu:.0%}"
        replaced = f"  replaced {sum(self.replaced.values())}" if self.replaced else ""
        return (
            f"step {self.step}/{self.steps}  loss {self.loss:.4g}  lr {self.lr:.2g}  "
            f"{self.people_per_s:.1f} people/s{used}  data wait {self.data_wait:.0%}{replaced}  "
            f"eta {minutes}:{seconds:02d}  |  {terms}"
        )

"""A job as its client sees it, and the files that the client may fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..options import ServeOptions
from ..refusals import Refusal
from .previews import preview_file
from .records import JobRecords
from .store import FINAL, Job
from .tasks import OUTPUTS
from .wanted import Wanted


class JobView:
    """Says what is known of a job."""

    def __init__(self, records: JobRecords, options: ServeOptions) -> None:
        self._records, self._options = records, options

    async def shown(self, job: Job) -> dict[str, Any]:
        """A job as its client sees it."""
        wanted = Wanted.of(job.wanted)
        base = f"/v1/jobs/{job.id}"
        told: dict[str, Any] = {
            "id": job.id, "state": job.state, "name": wanted.name, "created": round(job.created, 3),
            "finished": None if job.finished is None else round(job.finished, 3), "url": base,
            "events": f"{base}/events", "progress": self._progress(job), "report": job.report, "error": job.error,
            "outputs": self._outputs(job, wanted), "expires": self.expires(job),
            "kept": f"{self._options.keep_hours:g} hours after it has ended, and less where the jobs' files take more "
                    f"than {self._options.keep_gb:g} GB together"}
        if job.state == "queued":
            told["before"] = await self._records.ask(lambda store: store.before(job.number))
        if job.state == "uploading":
            told["upload"] = {"url": f"{base}/upload", "offset": self._records.received(job.id), "size": job.size}
        return told

    def _progress(self, job: Job) -> dict[str, Any] | None:
        """frames, total, elapsed, fps, eta and previews (their times) of a film that is worked on."""
        changes = self._records.changes.get(job.id)
        return changes.progress if changes is not None and job.state == "running" else None

    def _outputs(self, job: Job, wanted: Wanted) -> list[dict[str, Any]]:
        if job.state != "done" or job.report is None:
            return []
        kinds = {item.name: item.kind for item in wanted.targets}
        return [{"name": made["name"], "kind": kinds.get(made["name"], "bundle"), "bytes": made["bytes"],
                 "url": f"/v1/jobs/{job.id}/outputs/{made['name']}"} for made in job.report["outputs"]]

    def expires(self, job: Job) -> float | None:
        """When it is deleted by its age; None while it is worked on."""
        ended = job.finished if job.state in FINAL else job.changed if job.state == "uploading" else None
        return None if ended is None else round(ended + self._options.keep_hours * 3600, 3)

    def output(self, job: Job, name: str) -> Path:
        """The file of an output: one of the job's own names. Raises Refusal."""
        wanted = Wanted.of(job.wanted)
        if name not in wanted.names:
            raise Refusal("not_found", f"the job has no output of that name; it has {', '.join(wanted.names)}")
        if job.state != "done":
            raise Refusal("conflict", f"the job is {job.state}: it has no outputs")
        return self._records.path(job.id) / OUTPUTS / wanted.names[wanted.names.index(name)]

    def preview(self, job: Job, number: int) -> Path:
        """The file of a small picture of a film that is being made. Raises Refusal."""
        path = preview_file(self._records.path(job.id), number)
        if job.state != "running" or not path.is_file():
            raise Refusal("not_found", "there is no such preview: they are there while a film is made, and "
                          "progress.previews says which")
        return path

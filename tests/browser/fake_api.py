"""The picture and film API in its smallest form, in memory, for the page's tests: one request counter, and a
method that finds the drawn person of ``clips`` quickly and always in the same way."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

import streamseg

METHOD: dict[str, Any] = {"method": "threshold", "set": {"polarity": "dark"}}


class WithMethod:
    """The application, asked as if the page had chosen METHOD: the page leaves the method to the server, and these
    tests want one that finds the drawn person."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = dict(scope.get("headers", ())).get(b"content-type", b"")
        if not kind.startswith(b"multipart/form-data"):
            await self._app(scope, receive, send)
            return
        boundary = kind.partition(b"boundary=")[2]
        extra = b"".join(b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name, value)
                         for name, value in ((b"method", b"threshold"), (b"set", b"polarity=dark")))
        headers = [(name, b"%d" % (int(value) + len(extra)) if name == b"content-length" else value)
                   for name, value in scope["headers"]]
        first = [extra]

        async def more() -> Any:
            message = await receive()
            if first and message["type"] == "http.request":
                message = {**message, "body": first.pop() + message.get("body", b"")}
            return message

        await self._app({**scope, "headers": headers}, more, send)


def add_jobs(app: FastAPI, home: Path) -> None:
    """A film API in memory."""
    jobs: dict[str, dict[str, Any]] = {}
    ended: set[str] = set()

    @app.post("/v1/jobs", status_code=202)
    async def job(file: UploadFile, output: Annotated[list[str], Form()],
                  background: Annotated[str | None, Form()] = None, start: Annotated[float, Form()] = 0,
                  duration: Annotated[float | None, Form()] = None, name: Annotated[str, Form()] = "",
                  blur: Annotated[float, Form()] = 0.5,
                  method: Annotated[str, Form()] = "", set: Annotated[str, Form()] = "") -> dict[str, Any]:
        name = uuid.uuid4().hex
        outputs = [text.rpartition(":")[::2] for text in output]
        folder = home / name
        folder.mkdir()
        source = folder / ("in" + Path(file.filename or "").suffix)
        source.write_bytes(await file.read())
        made: dict[str, Any] = {"id": name, "state": "queued", "progress": None, "outputs": []}
        jobs[name] = made

        def progress(now: Any) -> None:
            if name in ended:
                raise streamseg.StreamsegError("stopped")
            made.update(state="running", progress={"frames": now.frames, "total": now.total, "fps": 1, "eta": None})

        def work() -> None:
            try:
                for kind, file in outputs:
                    behind = "none" if kind == "cutout" else background
                    streamseg.run(str(source), str(folder / file), progress=progress, background=behind, start=start,
                                  duration=duration, **METHOD)
                made.update(state="done", outputs=[{"name": file, "bytes": (folder / file).stat().st_size}
                                                   for _, file in outputs])
            except streamseg.StreamsegError as error:
                made.update(state="failed", error={"message": str(error)})

        threading.Thread(target=work, daemon=True).start()
        return made

    @app.get("/v1/jobs/{name}/events")
    async def events(name: str) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            last = ""
            while True:
                now = json.dumps(jobs[name])
                if now != last:
                    yield f"event: job\ndata: {now}\n\n"
                    last = now
                if jobs[name]["state"] in ("done", "failed"):
                    return
                await asyncio.sleep(0.02)

        return StreamingResponse(lines(), media_type="text/event-stream")

    @app.get("/v1/jobs/{name}/outputs/{output}")
    async def output(name: str, output: str) -> FileResponse:
        return FileResponse(home / name / output)

    @app.delete("/v1/jobs/{name}", status_code=204)
    async def delete(name: str) -> None:
        ended.add(name)

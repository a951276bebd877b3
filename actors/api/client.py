"""The HTTP client by which the command line talks to a running engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import msgspec

from actors.api.address import API_FILE, HTTP_REJECTED, Address
from actors.core.errors import BadInput, BulkheadError

TIMEOUT_SECONDS = 30.0


class EngineError(BulkheadError):
    """The engine refused a request; the text is the engine's."""


class EngineAway(EngineError):  # noqa: N818 - names read as in actors.core.errors
    """No engine answers at the address that one has left."""


class NotKnown(EngineError):  # noqa: N818 - names read as in actors.core.errors
    """The engine knows nothing of that name, 404."""


def address_of(data_dir: Path) -> Address:
    """Where the engine of a data folder listens, and its tokens.

    Raises:
        BadInput: no engine has left its address there.
    """
    path = data_dir / API_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Address)
    except FileNotFoundError:
        raise BadInput(
            f"no engine runs on {data_dir} (there is no {path}); start one with 'bulkhead run', or name its "
            "folder with --data-dir"
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


class Client:
    """Talks to the engine of a data folder, with the token that it left there unless another is given.

    Raises:
        BadInput: no engine has left its address there.
    """

    def __init__(self, data_dir: Path, token: str | None = None) -> None:
        self.address = address = address_of(data_dir)
        self._http = httpx.Client(
            base_url=address.url,
            headers={"Authorization": f"Bearer {token or address.token}"},
            timeout=TIMEOUT_SECONDS,
        )

    def get(self, path: str, **params: Any) -> Any:
        """GET and decode."""
        return self._send("GET", path, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: Any = None) -> Any:
        """POST and decode; a rejection is an answer, not an error."""
        return self._send(
            "POST", path, content=msgspec.json.encode(body), headers={"content-type": "application/json"}
        )

    def delete(self, path: str) -> Any:
        """DELETE and decode."""
        return self._send("DELETE", path)

    def download(self, path: str, **params: Any) -> bytes:
        """GET a file, whole."""
        return self._answer("GET", path, params={k: v for k, v in params.items() if v is not None}).content

    def stream(self, path: str, **params: Any) -> Iterator[Any]:
        """GET lines of JSON, one at a time, until the engine ends them. Empty ones in between say that it is there."""
        try:
            with self._http.stream("GET", path, params=params, timeout=TIMEOUT_SECONDS) as answer:
                if not answer.is_success:
                    answer.read()
                    self._refused(answer)
                for line in answer.iter_lines():
                    if line:
                        yield msgspec.json.decode(line)
        except httpx.HTTPError as error:
            raise EngineError(
                f"the engine at {self.address.url} went away ({type(error).__name__})"
            ) from None

    def _send(self, method: str, path: str, **request: Any) -> Any:
        return msgspec.json.decode(self._answer(method, path, **request).content)

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise EngineAway(
                f"the engine at {self.address.url} does not answer ({type(error).__name__}); is process "
                f"{self.address.pid} still running?"
            ) from None
        if answer.is_success or answer.status_code == HTTP_REJECTED:
            return answer
        return self._refused(answer)

    @staticmethod
    def _refused(answer: httpx.Response) -> NoReturn:
        try:
            text = msgspec.json.decode(answer.content)["error"]["message"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            text = answer.text[:300]
        refused = NotKnown if answer.status_code == httpx.codes.NOT_FOUND else EngineError
        raise refused(f"{answer.status_code}: {text}")

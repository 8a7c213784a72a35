"""A Google stand-in's service accounts: key files made on the spot, the token endpoint, the metadata server."""

import functools
import json
import secrets
from abc import abstractmethod
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from stand_ins.server import Answer, Request, StandIn

EMAIL = "runner@some-project.iam.gserviceaccount.com"


class GoogleStandIn(StandIn):
    """A Google service with its token endpoint: override `serve`, which only requests with a good bearer reach.

    Real clients get in with `key_file`, or as a machine with an attached account when GCE_METADATA_HOST is `host`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, str] = {}
        self.attached = EMAIL
        self._public: dict[str, bytes] = {}
        self._files = 0

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @abstractmethod
    def serve(self, request: Request, account: str) -> Answer:
        """What the service does for an account, named by its address."""

    def key_file(self, path: Path, email: str = EMAIL, **changes: object) -> Path:
        """Write a service-account key file whose token_uri is here; changes: fields to alter, None removes one.

        An account has one key: a second file of it is signed with another, and the first no longer counts.
        """
        self._files += 1
        key = _key(self._files)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._public[email] = public
        fields = {
            "type": "service_account",
            "project_id": "some-project",
            "private_key_id": secrets.token_hex(20),
            "private_key": private.decode(),
            "client_email": email,
            "client_id": "100000000000000000001",
            "token_uri": f"{self.url}/token",
        } | changes
        path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
        return path

    def answer(self, request: Request) -> Answer:
        if request.path == "/token":
            return self._exchange(request)
        if request.headers.get("metadata-flavor") == "Google":
            return self._metadata(request)
        account = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            return error(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")
        return self.serve(request, account)

    def _exchange(self, request: Request) -> Answer:
        """A token for an assertion that was signed with the key of a file made here."""
        assertion = request.form["assertion"]
        try:
            email = jwt.decode(assertion, verify=False)["iss"]
            jwt.decode(assertion, certs=self._public[email], audience="https://oauth2.googleapis.com/token")
        except (KeyError, ValueError):
            refusal = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return Answer(400, refusal)
        return self._token(email)

    def _metadata(self, request: Request) -> Answer:
        headers = {"Metadata-Flavor": "Google"}
        place = "/computeMetadata/v1/instance/service-accounts/"
        if request.path == "/computeMetadata/v1/project/project-id":
            return Answer(200, b"some-project", headers | {"Content-Type": "text/plain"})
        if request.path.startswith(place) and request.path.endswith("/token"):
            return Answer(200, self._token(self.attached).body, headers)
        if request.path.startswith(place):
            return Answer(200, {"aliases": ["default"], "email": self.attached, "scopes": []}, headers)
        return Answer(200, {}, headers)

    def _token(self, email: str) -> Answer:
        token = f"ya29.{secrets.token_hex(16)}"
        self.tokens[token] = email
        return Answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


@functools.cache
def _key(number: int) -> rsa.RSAPrivateKey:
    """Keys take long to make, so the files of all tests share a few."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def error(status: int, message: str, word: str, reason: str = "", **metadata: str) -> Answer:
    """A refusal as Google words it; reason and metadata: what its ErrorInfo says."""
    body = {"code": status, "message": message, "status": word}
    if reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        body["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com", "metadata": metadata}]
    return Answer(status, {"error": body})

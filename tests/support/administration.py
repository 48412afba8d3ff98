"""What an administrator does before others come: projects, accounts, keys, bindings, images."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.images import digest_of

if TYPE_CHECKING:
    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

Key = dict[str, str]


@dataclass(frozen=True, slots=True)
class Administration:
    """Acts on a running server as its administrator, over its API."""

    server: CustomhouseServer

    def call(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """Call the API.

        Raises:
            AssertionError: the answer is no success.
        """
        response = httpx2.request(
            method, f"{self.server.url}{path}", json=document, auth=self.server.auth, verify=False
        )
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        answer: dict[str, Any] = response.json()
        return answer

    def project(self, project: str) -> None:
        """Create a project."""
        self.call("POST", "/v1/projects", {"projectId": project})

    def user(self, name: str, password: str = "") -> None:
        """Create a user."""
        self.call("POST", "/v1/users", {"name": name, "password": password})

    def service_account(self, project: str, name: str) -> str:
        """Create a service account; its address."""
        path = f"/v1/projects/{project}/serviceAccounts"
        return str(self.call("POST", path, {"accountId": name})["email"])

    def key(self, email: str) -> Key:
        """Make a key of a service account; the file."""
        answer = self.call("POST", f"/v1/projects/-/serviceAccounts/{email}/keys", {})
        key: Key = json.loads(base64.b64decode(answer["privateKeyData"]))
        return key

    def bind(self, resource: str, role: str, member: str, condition: str = "") -> None:
        """Give a role to a member, as `projects/p` or `projects/p/repositories/a/**`."""
        policy = self.call("POST", f"/v1/{resource}:getIamPolicy")
        binding: dict[str, Any] = {"role": role, "members": [member]}
        if condition:
            binding["condition"] = {"title": "when", "expression": condition}
        policy["bindings"] = [*policy.get("bindings", []), binding]
        self.call("POST", f"/v1/{resource}:setIamPolicy", {"policy": policy})

    def push(self, image: Image, name: str, tag: str = "1") -> None:
        """Push an image."""
        scope = f"repository:{name}:push,pull"
        token = httpx2.get(
            f"{self.server.url}/token",
            params={"scope": scope},
            auth=self.server.auth,
            verify=False,
        ).json()["token"]
        with httpx2.Client(
            base_url=self.server.url,
            headers={"Authorization": f"Bearer {token}"},
            verify=False,
        ) as http:
            for blob in image.blobs:
                query = {"digest": digest_of(blob)}
                path = f"/v2/{name}/blobs/uploads/"
                http.post(path, params=query, content=blob).raise_for_status()
            kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
            path = f"/v2/{name}/manifests/{tag}"
            http.put(path, content=image.manifest, headers=kind).raise_for_status()

    def access_token(self, key: Key) -> str:
        """What a key is exchanged for (RFC 7523)."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": sign(key, aud="https://oauth2.googleapis.com/token"),
        }
        answer = httpx2.post(f"{self.server.url}/token", data=form, verify=False)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


def sign(key: Key, **claims: object) -> str:
    """What the owner of a key says, signed with it."""
    now = int(time.time())
    email = key["client_email"]
    header = {"alg": "RS256", "kid": key["private_key_id"], "typ": "JWT"}
    said = {"iss": email, "sub": email, "iat": now, "exp": now + 3600} | claims
    return jwt.encode(header, said, RSAKey.import_key(key["private_key"]), algorithms=["RS256"])

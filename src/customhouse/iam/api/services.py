"""Service Usage v1: which services are on in a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from customhouse.iam import projects, services
from customhouse.iam.api.guard import permitted
from customhouse.iam.permissions import Permission
from customhouse.names import project_name

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.iam.services import Service


def router(database: LoopDatabase, domain: str) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["services"])

    @routes.get(
        "/v1/projects/{project}/services",
        dependencies=[Depends(permitted(Permission.SERVICES_LIST, "project"))],
    )
    async def list_services(
        project: str, filter_: Annotated[str, Query(alias="filter", max_length=100)] = ""
    ) -> dict[str, Any]:
        """Every service; those that are on with the filter `state:ENABLED`."""
        number, on = await database.read(_state, project)
        found = [_to_json(number, service, on) for service in services.SERVICES.values()]
        state = filter_.partition(":")[2]
        return {"services": [entry for entry in found if state in {"", entry["state"]}]}

    @routes.get(
        "/v1/projects/{project}/services/{service}",
        dependencies=[Depends(permitted(Permission.SERVICES_GET, "project"))],
    )
    async def get_service(project: str, service: str) -> dict[str, Any]:
        """One service."""
        number, on = await database.read(_state, project)
        return _to_json(number, services.parse(service), on)

    @routes.post(
        "/v1/projects/{project}/services/{service}:enable",
        dependencies=[Depends(permitted(Permission.SERVICES_ENABLE, "project"))],
    )
    async def enable_service(project: str, service: str) -> dict[str, Any]:
        """Switch a service on."""
        chosen, name = services.parse(service), project_name(project)
        await database.write(services.enable, name, chosen, domain)
        number, on = await database.read(_state, project)
        return _done({"service": _to_json(number, chosen, on)})

    @routes.post(
        "/v1/projects/{project}/services/{service}:disable",
        dependencies=[Depends(permitted(Permission.SERVICES_DISABLE, "project"))],
    )
    async def disable_service(project: str, service: str) -> dict[str, Any]:
        """Switch a service off."""
        chosen, name = services.parse(service), project_name(project)
        await database.write(services.disable, name, chosen)
        number, on = await database.read(_state, project)
        return _done({"service": _to_json(number, chosen, on)})

    return routes


def _state(tx: Transaction, project: str) -> tuple[int, frozenset[str]]:
    name = project_name(project)
    return projects.get(tx, name).number, services.enabled(tx, name)


def _to_json(number: int, service: Service, on: frozenset[str]) -> dict[str, Any]:
    return {
        "name": f"projects/{number}/services/{service.name}",
        "parent": f"projects/{number}",
        "config": {"name": service.name, "title": service.title},
        "state": "ENABLED" if service.name in on else "DISABLED",
    }


def _done(response: dict[str, Any]) -> dict[str, Any]:
    return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": response}

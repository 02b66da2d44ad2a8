"""Projects: their wire form and what manages them."""

import msgspec
from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import ListBody, date_time, json_response, list_page, read_body
from simulator.errors import invalid
from simulator.logstore import DEFAULT_PROJECT, Project


class ProjectBody(msgspec.Struct, rename="camel"):
    """Body of CreateProject and UpdateProject."""

    uuid: str | None = None
    name: str | None = None
    description: str | None = None
    top: bool | None = None


class Projects(Service):
    """Handlers of operations on projects."""

    async def create(self, request: web.Request) -> web.Response:
        """CreateProject. Source: doc shows 201; the body is assumed."""
        body = await read_body(request, ProjectBody)
        await self.change(self.engine.create_project, body.name or "", body.description or "")
        return json_response({"message": ""}, status=201)

    async def update(self, request: web.Request) -> web.Response:
        """UpdateProject: the uuid is in the body."""
        body = await read_body(request, ProjectBody)
        if not body.uuid:
            raise invalid("uuid", "is required")
        uuid = body.uuid
        return await self.confirm(
            lambda: self.engine.update_project(uuid, description=body.description, top=body.top),
        )

    async def describe(self, request: web.Request) -> web.Response:
        """DescribeProject."""
        project = self.engine.describe_project(request.match_info["uuid"])
        count = len(self.engine.list_log_stores(project.name))
        return json_response({"message": "", "result": {"project": _from_project(project, count)}})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteProject."""
        return await self.confirm(self.engine.delete_project, request.match_info["uuid"])

    async def list_all(self, request: web.Request) -> web.Response:
        """ListProject: the default project stands apart and is not repeated (assumed).

        Source: assumed, that ``total`` is ``totalCount`` once more.
        """
        asked = await read_body(request, ListBody)
        projects = self.engine.list_projects()
        counts: dict[str, int] = {}
        for store in self.engine.list_log_stores():
            counts[store.project] = counts.get(store.project, 0) + 1
        found = [
            project
            for project in projects
            if project.name != DEFAULT_PROJECT
            and (asked.name or "") in project.name
            and (asked.description or "") in project.description
        ]
        page, wrapper = list_page(
            found,
            {
                "createdAt": lambda project: project.created_at,
                "updatedAt": lambda project: project.updated_at,
                "name": lambda project: project.name,
            },
            asked,
        )
        default = next(project for project in projects if project.name == DEFAULT_PROJECT)
        result = {
            **wrapper,
            "total": wrapper["totalCount"],
            "default": _from_project(default, counts.get(DEFAULT_PROJECT, 0)),
            "projects": [_from_project(one, counts.get(one.name, 0)) for one in page],
        }
        return json_response({"message": "", "result": result})


def _from_project(project: Project, log_store_count: int) -> dict[str, object]:
    """A project as described. Times as date-time text (assumed)."""
    return {
        "uuid": project.uuid,
        "name": project.name,
        "description": project.description,
        "top": project.top,
        "logStoreCount": log_store_count,
        "createdTime": date_time(project.created_at),
        "updatedTime": date_time(project.updated_at),
    }

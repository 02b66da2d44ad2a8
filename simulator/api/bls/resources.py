"""Projects, LogStores and streams: what manages them."""

from aiohttp import web

from simulator.api.bls.service import Service
from simulator.api.bls.wire import (
    BatchBody,
    ListBody,
    LogStoreBody,
    ProjectBody,
    date_time,
    from_log_store,
    from_log_store_in_list,
    from_project,
    invalid,
    json_response,
    list_page,
    list_query,
    parse_query,
    project_of,
    read_body,
    settings_of,
)
from simulator.errors import ControlError
from simulator.logstore import DEFAULT_PROJECT, LogStore

MAX_BATCH = 100


class Resources(Service):
    """Handlers of management operations, named as the vendor names them."""

    async def create_project(self, request: web.Request) -> web.Response:
        """CreateProject. Source: doc shows 201; body and duplicates of counts assumed."""
        body = await read_body(request, ProjectBody)
        await self.change(
            "CreateProject", self.engine.create_project, body.name or "", body.description or ""
        )
        return json_response({"message": ""}, status=201)

    async def update_project(self, request: web.Request) -> web.Response:
        """UpdateProject: the uuid is in the body."""
        body = await read_body(request, ProjectBody)
        if not body.uuid:
            raise invalid("uuid", "is required")
        uuid = body.uuid
        await self.change(
            "UpdateProject",
            lambda: self.engine.update_project(uuid, description=body.description, top=body.top),
        )
        return json_response({"message": ""})

    async def describe_project(self, request: web.Request) -> web.Response:
        """DescribeProject."""
        project = self.engine.describe_project(request.match_info["uuid"])
        count = len(self.engine.list_log_stores(project.name))
        return json_response({"message": "", "result": {"project": from_project(project, count)}})

    async def delete_project(self, request: web.Request) -> web.Response:
        """DeleteProject."""
        await self.change("DeleteProject", self.engine.delete_project, request.match_info["uuid"])
        return json_response({"message": ""})

    async def list_project(self, request: web.Request) -> web.Response:
        """ListProject: the default project stands apart and is not repeated (assumed)."""
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
            "default": from_project(default, counts.get(DEFAULT_PROJECT, 0)),
            "projects": [from_project(one, counts.get(one.name, 0)) for one in page],
        }
        return json_response({"message": "", "result": result})

    async def create_log_store(self, request: web.Request) -> web.Response:
        """CreateLogStore."""
        body = await read_body(request, LogStoreBody)
        if not body.log_store_name:
            raise invalid("logStoreName", "is required")
        await self.change(
            "CreateLogStore",
            self.engine.create_log_store,
            project_of(body.project),
            body.log_store_name,
            settings_of(body, None),
        )
        return json_response({"message": ""})

    async def update_log_store(self, request: web.Request) -> web.Response:
        """UpdateLogStore: names come from path and query, those in the body are ignored."""
        project, name = _address(request)
        body = await read_body(request, LogStoreBody)
        before = self.engine.describe_log_store(project, name)
        await self.change(
            "UpdateLogStore",
            self.engine.update_log_store,
            project,
            name,
            settings_of(body, before.settings),
        )
        return json_response({"message": ""})

    async def describe_log_store(self, request: web.Request) -> web.Response:
        """DescribeLogStore: a flat object."""
        return json_response(from_log_store(self.engine.describe_log_store(*_address(request))))

    async def delete_log_store(self, request: web.Request) -> web.Response:
        """DeleteLogStore."""
        await self.change("DeleteLogStore", self.engine.delete_log_store, *_address(request))
        return json_response({"message": ""})

    async def list_log_store(self, request: web.Request) -> web.Response:
        """ListLogStore, the old form: parameters in the query."""
        return self._list_log_stores(list_query(parse_query(request)))

    async def list_log_store_post(self, request: web.Request) -> web.Response:
        """ListLogStore, the new form and its v2 twin: parameters in the body."""
        return self._list_log_stores(await read_body(request, ListBody))

    async def batch_get_log_store(self, request: web.Request) -> web.Response:
        """BatchGetLogStore: stores that do not exist are left out (assumed)."""
        body = await read_body(request, BatchBody)
        asked = body.log_stores or body.capital_log_stores or []
        if len(asked) > MAX_BATCH:
            raise invalid("logStores", f"expected at most {MAX_BATCH}")
        found: list[LogStore] = []
        for one in asked:
            try:
                found.append(
                    self.engine.describe_log_store(project_of(one.project), one.log_store_name)
                )
            except ControlError:
                continue
        return json_response({"result": [from_log_store_in_list(store) for store in found]})

    async def list_log_stream(self, request: web.Request) -> web.Response:
        """ListLogStream."""
        parameters = parse_query(request)
        streams = self.engine.list_streams(*_address(request))
        asked = list_query(parameters)
        page, wrapper = list_page(
            [stream for stream in streams if (asked.name_pattern or "") in stream.name],
            {
                "creationDateTime": lambda stream: stream.created_at,
                "logStreamName": lambda stream: stream.name,
            },
            asked,
        )
        items = [
            {"creationDateTime": date_time(stream.created_at), "logStreamName": stream.name}
            for stream in page
        ]
        return json_response({**wrapper, "result": items})

    def _list_log_stores(self, asked: ListBody) -> web.Response:
        # Nothing can be bound yet, so only the empty scope finds anything.
        scopes = [str(entry.get("scope") or "") for entry in asked.binding_resources or ()]
        stores = self.engine.list_log_stores(asked.project or None)
        found = [
            store
            for store in stores
            if (asked.name_pattern or "") in store.name and (not scopes or "" in scopes)
        ]
        page, wrapper = list_page(
            found,
            {
                "creationDateTime": lambda store: store.created_at,
                "lastModifiedTime": lambda store: store.updated_at,
                "name": lambda store: store.name,
            },
            asked,
        )
        return json_response({**wrapper, "result": [from_log_store_in_list(s) for s in page]})


def _address(request: web.Request) -> tuple[str, str]:
    """Project and name of the LogStore a path is about."""
    return project_of(parse_query(request).get("project")), request.match_info["name"]

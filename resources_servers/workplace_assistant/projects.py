"""Tools of project management: tasks on boards."""

from typing import Literal, get_args

from nemo_gym.environments import ToolError, tool
from resources_servers.workplace_assistant.arguments import Needed, TextOrNumber, address, one_of
from resources_servers.workplace_assistant.tables import Row, Workplace, contains

ListName = Literal["Backlog", "In Progress", "In Review", "Completed"]
Board = Literal["Back end", "Front end", "Design"]


class ProjectTools:
    @tool
    async def project_management_get_task_information_by_id(
        self, state: Workplace, task_id: Needed, field: Needed
    ) -> dict[str, str]:
        """Read one field of a task.

        Args:
            task_id: Id of the task, 8 digits.
            field: task_id, task_name, assigned_to_email, list_name, due_date or board.
        """
        return state.tasks.cell(task_id, field)

    @tool
    async def project_management_search_tasks(
        self,
        state: Workplace,
        task_name: str | None = None,
        assigned_to_email: str | None = None,
        list_name: str | None = None,
        due_date: str | None = None,
        board: str | None = None,
    ) -> list[Row]:
        """Search for tasks; at least one argument is needed.

        Args:
            task_name: Part of the task's name.
            assigned_to_email: Email address of the person who does it, in full.
            list_name: Part of the name of its list.
            due_date: Part of the day when it is due, YYYY-MM-DD.
            board: Part of the name of its board.
        """
        parts = {"task_name": task_name, "list_name": list_name, "due_date": due_date, "board": board}
        if not any([assigned_to_email, *parts.values()]):
            raise ToolError("Give at least one thing to search for.")
        assignee = address(assigned_to_email) if assigned_to_email else None
        return [
            row
            for row in state.tasks.rows
            if (assignee is None or row["assigned_to_email"].lower() == assignee)
            and all(contains(row[column], part) for column, part in parts.items())
        ]

    @tool
    async def project_management_create_task(
        self,
        state: Workplace,
        task_name: Needed,
        assigned_to_email: Needed,
        list_name: ListName,
        due_date: Needed,
        board: Board,
    ) -> str:
        """Create a task; the answer is its id.

        Args:
            task_name: Name of the task.
            assigned_to_email: Email address of the person who does it.
            list_name: List that it is on.
            due_date: Day when it is due, YYYY-MM-DD.
            board: Board that it is on.
        """
        return state.tasks.add(task_name, _assignee(state, assigned_to_email), list_name, due_date, board)

    @tool
    async def project_management_delete_task(self, state: Workplace, task_id: Needed) -> str:
        """Delete a task.

        Args:
            task_id: Id of the task, 8 digits.
        """
        state.tasks.delete(task_id)
        return "Task deleted successfully."

    @tool
    async def project_management_update_task(
        self, state: Workplace, task_id: Needed, field: Needed, new_value: TextOrNumber
    ) -> str:
        """Change one field of a task.

        Args:
            task_id: Id of the task, 8 digits.
            field: task_name, assigned_to_email, list_name, due_date or board.
            new_value: Its new value.
        """
        value = str(new_value)
        match field:
            case "assigned_to_email":
                value = _assignee(state, value)
            case "list_name":
                one_of(value, get_args(ListName), field)
            case "board":
                one_of(value, get_args(Board), field)
        state.tasks.change(task_id, field, value)
        return "Task updated successfully."


def _assignee(state: Workplace, email: str) -> str:
    """Return the address in lower case; raises ToolError for one that no task of the team has."""
    wanted = email.lower()
    if all(row["assigned_to_email"].lower() != wanted for row in state.tasks.rows):
        raise ToolError(f"{email!r} is not on the team; assign the task to an address that has tasks already.")
    return wanted

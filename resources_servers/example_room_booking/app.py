"""Room booking: the policy must book exactly the rooms the task names, in any order."""

from dataclasses import dataclass, field

from nemo_gym.environments import BaseResourcesServerConfig, Environment, ToolError, Verdict, tool


class RoomBookingConfig(BaseResourcesServerConfig):
    max_bookings: int = 8


@dataclass
class Booked:
    rooms: list[str] = field(default_factory=list)


class RoomBookingServer(Environment):
    config: RoomBookingConfig

    @tool
    async def book_room(self, state: Booked, room: str) -> str:
        """Book one room."""
        if room in state.rooms:
            raise ToolError(f"Refused: {room} is booked already.")
        if len(state.rooms) >= self.config.max_bookings:
            raise ToolError(f"Refused: limit of {self.config.max_bookings} bookings reached.")
        state.rooms.append(room)
        return f"Booked {room}."

    @tool
    async def cancel_room(self, state: Booked, room: str) -> str:
        """Give a booked room back."""
        if room not in state.rooms:
            raise ToolError(f"Refused: {room} is not booked.")
        state.rooms.remove(room)
        return f"Cancelled {room}."

    async def reward(self, state: Booked, expected_rooms: list[str]) -> Verdict:
        rooms = sorted(state.rooms)
        return Verdict(float(rooms == sorted(expected_rooms)), fields={"booked_rooms": rooms})


if __name__ == "__main__":
    RoomBookingServer.run_webserver()

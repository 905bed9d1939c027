"""Room booking: the policy must book exactly the rooms the task names.

Tools: `/book_room`, `/cancel_room`. State per session: the rooms booked so far.
Reward: 1.0 when the booked rooms are the task's `expected_rooms`, in any order, else 0.0.
"""

from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)


class RoomBookingConfig(BaseResourcesServerConfig):
    max_bookings: int = Field(default=8, ge=1, description="Rooms per session before the tool refuses.")


@dataclass
class RoomBookingState:
    rooms: list[str] = field(default_factory=list)


class RoomRequest(BaseModel):
    room: str = Field(description="Name of the room.")


class RoomResponse(BaseModel):
    message: str


class RoomBookingVerifyRequest(BaseVerifyRequest):
    expected_rooms: list[str]


class RoomBookingVerifyResponse(BaseVerifyResponse):
    booked_rooms: list[str]


class RoomBookingServer(SimpleResourcesServer):
    config: RoomBookingConfig
    session_state = RoomBookingState

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/book_room")(self.book_room)
        app.post("/cancel_room")(self.cancel_room)
        return app

    async def book_room(self, request: Request, body: RoomRequest) -> RoomResponse:
        """Book one room."""
        rooms = self._rooms(request)
        if body.room in rooms:
            raise ToolError(f"Refused: {body.room} is booked already.")
        if len(rooms) >= self.config.max_bookings:
            raise ToolError(f"Refused: limit of {self.config.max_bookings} bookings reached.")
        rooms.append(body.room)
        return RoomResponse(message=f"Booked {body.room}.")

    async def cancel_room(self, request: Request, body: RoomRequest) -> RoomResponse:
        """Give a booked room back."""
        rooms = self._rooms(request)
        if body.room not in rooms:
            raise ToolError(f"Refused: {body.room} is not booked.")
        rooms.remove(body.room)
        return RoomResponse(message=f"Cancelled {body.room}.")

    async def verify(self, request: Request, body: RoomBookingVerifyRequest) -> RoomBookingVerifyResponse:
        rooms = sorted(self._rooms(request))
        reward = float(rooms == sorted(body.expected_rooms))
        return RoomBookingVerifyResponse(**body.model_dump(), reward=reward, booked_rooms=rooms)

    def _rooms(self, request: Request) -> list[str]:
        state: RoomBookingState = self.state(request)
        return state.rooms


if __name__ == "__main__":
    RoomBookingServer.run_webserver()

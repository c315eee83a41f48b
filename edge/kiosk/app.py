# SPDX-License-Identifier: GPL-3.0-or-later
"""The kiosk's ASGI app: parameters in, never G-code; a check-in is confirmed only when it is on disk."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from edge import __version__
from edge.domain.errors import Refused
from edge.domain.visit import Language
from edge.http import errors, pages
from edge.http.limits import BodyLimit, InFlightLimit, SecurityHeaders
from edge.kiosk import live, scene, views
from edge.services.lab import Lab
from edge.services.programs import Wish
from edge.services.survey import Answers

BODY_LIMIT = 16 * 1024
IN_FLIGHT = 256
WARN_AFTER_S = 45
COUNTDOWN_S = 15

KioskId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
SessionId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]

Score = Annotated[int, Field(ge=1, le=5, strict=True)]


def lab_of(connection: HTTPConnection) -> Lab:
    """Return the services behind the app."""
    lab: Lab = connection.app.state.lab
    return lab


Services = Annotated[Lab, Depends(lab_of)]
router = APIRouter(prefix="/api/kiosk")


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid")


class CheckIn(Body):
    """A visitor begins. session is made by the page, so that a repeated tap counts once."""

    kiosk: KioskId
    session: SessionId
    language: Language


class Request(Body):
    """A visitor's wish: which piece, what on it, and how long the visitor thinks that it will take, in seconds.

    request is made by the page for each wish, so that asking again queues it once.
    """

    kiosk: KioskId
    session: SessionId
    piece: Annotated[str, Field(min_length=1, max_length=64)]
    guess_s: Annotated[float, Field(gt=0, le=7200, allow_inf_nan=False)]
    request: SessionId | None = None
    text: Annotated[str, Field(max_length=40)] = ""
    depth: Literal["shallow", "normal", "deep"] = "normal"


class Survey(Body):
    """A visitor's answers. card is a random number that the page made before, and that the visitor keeps for after."""

    kiosk: KioskId
    answer: SessionId
    card: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{4,64}$")]
    moment: Literal["before", "after"]
    band: Literal["under_11", "11_12", "13_up"]
    language: Language
    interest: Score | None = None
    confidence: Score | None = None
    career: Score | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.interest is None and self.confidence is None and self.career is None:
            raise ValueError("none of the three questions is answered")
        return self


@router.get("/state")
async def state(lab: Services, kiosk: Annotated[KioskId, Query()]) -> dict[str, Any]:
    """Return what a kiosk needs to begin."""
    visit = lab.visits.visit
    return {
        "lab": lab.lab_id,
        "lab_name": lab.name,
        "kiosk": kiosk,
        "visit": {"open": visit is not None, "language": visit.language.value if visit else lab.language},
        "idle": {"warn_after_s": WARN_AFTER_S, "countdown_s": COUNTDOWN_S},
        "now": views.now(lab),
    }


@router.get("/pieces")
async def pieces(lab: Services) -> list[dict[str, Any]]:
    """Return the pieces to choose from. Their times are not told: the visitor guesses first."""
    changed = {item.piece_id for item in lab.programs.left_out}
    return [views.piece(item) for item in lab.programs.pieces.values() if item.piece_id not in changed]


@router.get("/pieces/{piece_id}/path")
async def piece_path(piece_id: str, lab: Services) -> dict[str, Any]:
    """Return the path of a piece."""
    return await views.path(lab, piece_id)


@router.post("/sessions", status_code=201)
async def check_in(entered: CheckIn, lab: Services) -> dict[str, str]:
    """Count the session; answers after the commit."""
    session = entered.session.lower()
    await lab.visits.check_in(session, kiosk=entered.kiosk, language=entered.language)
    return {"session": session}


@router.post("/survey", status_code=201)
async def survey(answered: Survey, lab: Services) -> dict[str, str]:
    """Take a visitor's answers; answers after the commit. Nothing of them names the kiosk, the session or a wish."""
    answer = answered.answer.lower()
    answers = Answers(
        answered.card,
        answered.moment,
        answered.band,
        answered.language,
        answered.interest,
        answered.confidence,
        answered.career,
    )
    await lab.survey.answer(answer, answers)
    return {"answer": answer}


@router.post("/requests", status_code=201)
async def request(wanted: Request, lab: Services) -> dict[str, Any]:
    """Queue a wish."""
    if not lab.visits.knows(wanted.session.lower()):
        raise Refused(
            code="no-session",
            what="The wish is not taken.",
            why="You have not checked in yet.",
            remedy="Check in first.",
        )
    piece = lab.programs.piece(wanted.piece)
    wish = Wish(wanted.text.strip() if piece.template else "", wanted.depth)
    job = await lab.jobs.request(wanted.piece, wish, guess_s=wanted.guess_s, request_id=wanted.request or "")
    return {
        "job": job.job_id,
        "claim": job.claim,
        "ahead": len(lab.jobs.waiting_before(job)),
        "wait_s": round(lab.jobs.wait_s(job)),
    }


@router.get("/jobs/{job_id}")
async def job(job_id: str, lab: Services) -> dict[str, Any]:
    """Return how a wish stands."""
    return views.job(lab, lab.jobs.job(job_id))


def create_app(lab: Lab) -> ASGIApp:
    """Return the kiosk for `lab`."""
    app = FastAPI(title="InfoMobil kiosk", version=__version__, docs_url=None, redoc_url=None)
    app.state.lab = lab
    app.state.sockets = 0
    errors.install(app)
    app.include_router(router)
    app.include_router(live.router)
    app.include_router(scene.router)
    pages.mount(app, "kiosk")
    return SecurityHeaders(InFlightLimit(BodyLimit(app, BODY_LIMIT), IN_FLIGHT))

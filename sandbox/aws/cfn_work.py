"""The work on a stack in the background: create, roll back, update, delete, with events.

Modelled: events per resource; a failure ends in ROLLBACK_COMPLETE (or CREATE_FAILED, or a deleted
stack, as OnFailure says) with the reason at the resource that failed, and "Resource creation
cancelled" at those that were being made beside it; what cannot be deleted ends in DELETE_FAILED
and keeps the stack. Assumptions: resources are made one after another, deletion is tried once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cfn_resources
from cfn_progress import Progress, Row, complete, condition_holds, finish, reason_of
from cfn_template import dependencies, ordered
from state import STATE, Alive

CANCELLED = "Resource creation cancelled"


class Stopped(Exception):
    """A reset or a later operation on the same stack makes this one pointless."""


@dataclass
class Worker:
    """One operation on one stack."""

    progress: Progress
    alive: Alive
    turn: int

    def pause(self, seconds: float) -> None:
        if not self.alive.sleep(seconds) or self.progress.turn != self.turn:
            raise Stopped

    def check(self) -> None:
        """Called with the lock held, before every change."""
        if not self.alive or self.progress.turn != self.turn:
            raise Stopped

    def create(self) -> None:
        """Make all resources, then COMPLETE; or stop at the first failure and undo."""
        stack, template = self.progress.stack, self.progress.stack.template_dict
        order = ordered(template)
        for position, name in enumerate(order):
            row = Row(name, template["Resources"][name]["Type"])
            with STATE.lock:
                self.check()
                if not condition_holds(stack, name):
                    continue
                self.progress.rows[name] = row
                self.progress.note(row, "CREATE_IN_PROGRESS")
            self.pause(STATE.config.cfn_create_s / len(order))
            with STATE.lock:
                self.check()
                if reason := self.creation_failure(row):
                    self.progress.note(row, "CREATE_FAILED", reason)
                    self.cancel_beside(name, order[position + 1 :])
                    break
                self.progress.note(row, "CREATE_COMPLETE")
        else:
            with STATE.lock:
                self.check()
                complete(self.progress, "CREATE_COMPLETE")
            return
        self.undo()

    def creation_failure(self, row: Row) -> str | None:
        """Make the resource; the reason when that fails."""
        fail = STATE.config.cfn_create_fail
        if fail and re.search(fail, row.logical_id):
            return "Resource handler returned message: injected failure"
        try:
            resource = cfn_resources.create(self.progress.stack, row.logical_id)
        except Exception as error:  # noqa: BLE001 moto raises whatever it likes here
            made = self.progress.stack.resource_map._parsed_resources.get(row.logical_id)
            row.physical_id = getattr(made, "physical_resource_id", "") or ""
            return reason_of(error, row.type)
        row.physical_id = getattr(resource, "physical_resource_id", None) or row.logical_id
        return None

    def cancel_beside(self, failed: str, rest: Iterable[str]) -> None:
        """AWS makes independent resources at the same time; those are cancelled by the failure."""
        template = self.progress.stack.template_dict
        needs, done = dependencies(template), set(self.progress.rows) - {failed}
        for name in rest:
            if needs[name] <= done and condition_holds(self.progress.stack, name):
                row = Row(name, template["Resources"][name]["Type"])
                self.progress.rows[name] = row
                self.progress.note(row, "CREATE_IN_PROGRESS")
                self.progress.note(row, "CREATE_FAILED", CANCELLED)

    def undo(self) -> None:
        """After a failed creation: what OnFailure asks for."""
        progress = self.progress
        bad = [i for i, row in progress.rows.items() if row.status == "CREATE_FAILED"]
        reason = f"The following resource(s) failed to create: [{', '.join(bad)}]. "
        if progress.on_failure == "DO_NOTHING":
            with STATE.lock:
                progress.say("CREATE_FAILED", reason)
            return
        verb = "Delete" if progress.on_failure == "DELETE" else "Rollback"
        with STATE.lock:
            state = "DELETE" if verb == "Delete" else "ROLLBACK"
            progress.say(f"{state}_IN_PROGRESS", reason + f"{verb} requested by user.")
        left = self.remove_all(set())
        with STATE.lock:
            self.check()
            finish(progress, state, left)

    def delete(self, retain: set[str]) -> None:
        """Remove all resources, then the stack; or keep it as DELETE_FAILED."""
        left = self.remove_all(retain)
        with STATE.lock:
            self.check()
            finish(self.progress, "DELETE", left)

    def remove_all(self, retain: set[str]) -> list[str]:
        """Delete what the stack made, in reverse order; names of what stays in the way. What a
        remaining resource needs is not tried."""
        names = self.progress.made
        needs = dependencies(self.progress.stack.template_dict)
        left: list[str] = []
        for name in names:
            row = self.progress.rows[name]
            if any(name in needs[other] for other in left):
                continue
            with STATE.lock:
                self.check()
                if name in retain or self.retained(name):
                    self.progress.note(row, "DELETE_SKIPPED")
                    continue
                self.progress.note(row, "DELETE_IN_PROGRESS")
            self.pause(STATE.config.cfn_delete_s / len(names))
            with STATE.lock:
                self.check()
                if reason := self.deletion_failure(row):
                    self.progress.note(row, "DELETE_FAILED", reason)
                    left.append(name)
                else:
                    self.progress.note(row, "DELETE_COMPLETE")
                    row.physical_id = ""
        return left

    def retained(self, name: str) -> bool:
        definition = self.progress.stack.template_dict["Resources"][name]
        return str(definition.get("DeletionPolicy", "")).startswith("Retain")

    def deletion_failure(self, row: Row) -> str | None:
        """Delete the resource; the reason when that fails."""
        fail = STATE.config.cfn_delete_fail
        if fail and re.search(fail, row.logical_id):
            return "Resource handler returned message: injected failure"
        stack = self.progress.stack
        resource = stack.resource_map._parsed_resources.get(row.logical_id)
        definition = stack.template_dict["Resources"][row.logical_id]
        try:
            if resource is not None:
                cfn_resources.delete(resource, definition, stack.account_id, stack.region_name)
        except Exception as error:  # noqa: BLE001 moto raises whatever it likes here
            return reason_of(error, row.type)
        stack.resource_map._parsed_resources.pop(row.logical_id, None)
        return None


def run(progress: Progress, operation: Callable[[Worker], None]) -> None:
    """Start the operation in the background; it ends the one that still runs on the stack."""
    progress.turn += 1
    turn = progress.turn

    def work(alive: Alive) -> None:
        try:
            operation(Worker(progress, alive, turn))
        except Stopped:
            pass

    STATE.in_background(work, f"stack {progress.stack.name}")

// A reset answered with 202 and a task: followed to its end, and never taken for more than an answer.
import { afterEach, describe, expect, it } from "vitest";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import { RedfishService } from "../../src/act/fence/redfish.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import {
  type RawAnswer,
  RESET_PATH,
  type RawService,
  type Routes,
  startRawService,
  SYSTEM_PATH,
  systemBody,
} from "./fence-raw-service.ts";
import { authority, PASSWORD, USERNAME } from "./fence-redfish-rig.ts";

const CALL = { deadlineMs: 10_000 };
const MONITOR = "/redfish/v1/TaskService/TaskMonitors/7";
const clock = createRealClock();
let service: RawService | undefined;
let device: FenceDevice | undefined;

async function serve(routes: Routes): Promise<FenceDevice> {
  service = await startRawService({ [`GET ${SYSTEM_PATH}`]: { body: systemBody() }, ...routes });
  const access = {
    address: service.address,
    username: USERNAME,
    password: PASSWORD,
    caPem: authority.certPem,
  };
  device = new RedfishService({ ...access, systemPath: SYSTEM_PATH, auth: "Basic" }, { clock }).open();
  return device;
}

afterEach(async () => {
  await device?.close();
  await service?.stop();
});

const ACCEPTED: RawAnswer = { status: 202, headers: { location: MONITOR } };

/** Answers one after the other; the last one again and again. */
function inTurn(...answers: readonly RawAnswer[]): () => RawAnswer {
  let next = 0;
  return () => answers[Math.min(next++, answers.length - 1)] ?? {};
}

describe("a reset answered with 202", () => {
  it("is followed until the monitor answers as the reset itself would have", async () => {
    const monitor = inTurn({ status: 202 }, { status: 202 }, { status: 204 });
    const target = await serve({ [`POST ${RESET_PATH}`]: ACCEPTED, [`GET ${MONITOR}`]: monitor });
    expect(await target.requestOff(CALL)).toMatchObject({
      kind: "accepted",
      message: `HTTP 202: task ${MONITOR} completed`,
    });
    expect(service?.seen.filter((line) => line.includes(MONITOR))).toHaveLength(3);
  });

  it("is followed to the task that its body names, until that is Completed", async () => {
    const body = { "@odata.id": MONITOR, "@odata.type": "#Task.v1_7_0.Task", TaskState: "New" };
    const states = inTurn(
      { body: { ...body, TaskState: "Running" } },
      { body: { ...body, TaskState: "Completed" } },
    );
    const target = await serve({ [`POST ${RESET_PATH}`]: { status: 202, body }, [`GET ${MONITOR}`]: states });
    expect((await target.requestOff(CALL)).message).toContain("completed");
  });

  it("may have acted where its task failed: the reason is told, and the state decides", async () => {
    const failed = { TaskState: "Exception", Messages: [{ Message: "The power supply is locked." }] };
    const target = await serve({ [`POST ${RESET_PATH}`]: ACCEPTED, [`GET ${MONITOR}`]: { body: failed } });
    expect(await target.requestOff(CALL)).toEqual({
      kind: "faulty",
      message: `task ${MONITOR}: Exception: The power supply is locked.`,
    });
  });

  it("is refused where the monitor ends in a refusal", async () => {
    const target = await serve({ [`POST ${RESET_PATH}`]: ACCEPTED, [`GET ${MONITOR}`]: { status: 409 } });
    expect((await target.requestOff(CALL)).kind).toBe("refused");
  });

  it.each<[string, RawAnswer]>([
    ["whose task is forgotten", { status: 404 }],
    ["whose task never ends", { status: 202 }],
  ])("%s is as good as accepted, by the deadline at the latest", async (_what, answer) => {
    const target = await serve({ [`POST ${RESET_PATH}`]: ACCEPTED, [`GET ${MONITOR}`]: answer });
    expect(await target.requestOff({ deadlineMs: 2_000 })).toMatchObject({ kind: "accepted" });
  });

  it("is not followed to another origin, where our credentials have no business", async () => {
    const location = "https://elsewhere.example.com/task";
    const target = await serve({ [`POST ${RESET_PATH}`]: { status: 202, headers: { location } } });
    expect((await target.requestOff(CALL)).kind).toBe("accepted");
  });

  it("holds nobody up: the node is proven off while its task still runs", async () => {
    let posted = false;
    const target = await serve({
      [`POST ${RESET_PATH}`]: () => {
        posted = true;
        return ACCEPTED;
      },
      [`GET ${MONITOR}`]: { status: 202 },
      [`GET ${SYSTEM_PATH}`]: () => ({ body: systemBody({ PowerState: posted ? "Off" : "On" }) }),
    });
    const result = await powerOff(target, { clock, deadlineMs: 30_000, beforeRequest: async () => true });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });
});

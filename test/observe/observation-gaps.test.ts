import { expect, it } from "vitest";
import { ObservationGaps } from "../../src/observe/observation-gaps.ts";

it("a gap is told in whole milliseconds, however finely it was measured, and never too short", () => {
  const gaps = new ObservationGaps();
  gaps.add({ fromMs: 1_000.7, toMs: 5_000.2 });
  expect(gaps.spans).toEqual([{ fromMs: 1_000, toMs: 5_001 }]);
});

# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer's parts in Chromium where they have much to draw: long ways, long paths, computers that are slow."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.e2e.viewer_parts import THERE

pytestmark = [pytest.mark.skipif(not THERE, reason="the web tools are not installed"), pytest.mark.timeout(180)]


def test_a_long_way_through_time_is_seen_in_a_few_pictures(parts_page: Page) -> None:
    seen = parts_page.evaluate("""async () => {
      await opened();
      view.setScene(long, null);
      view.colour("none");
      view.seek(0);
      await frames(4);
      const canvas = host.querySelector("canvas");
      let pictures = 0;
      const own = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = function (...box) {
        if (this.canvas === canvas) pictures += 1;
        own.apply(this, box);
      };
      // The clock goes on with each look at it: the cutting takes three seconds of it, in slices of a few milliseconds.
      const now = performance.now.bind(performance);
      const begin = now();
      let looks = 0;
      performance.now = () => begin + (looks += 1) * 3;
      view.seek(long.totalSeconds * 0.99);
      let calm = 0;
      let before = -1;
      while (calm < 20) {
        await new Promise((done) => setTimeout(done));
        calm = before === looks ? calm + 1 : 0;
        before = looks;
      }
      performance.now = now;
      return { pictures, ms: looks * 3 };
    }""")
    assert seen["ms"] > 2000
    assert 1 <= seen["pictures"] <= seen["ms"] / 250 + 3


def test_a_long_path_is_not_stroked_while_it_is_moved(parts_page: Page) -> None:
    strokes = parts_page.evaluate("""async () => {
      await opened();
      let lines = 0;
      const own = CanvasRenderingContext2D.prototype.lineTo;
      CanvasRenderingContext2D.prototype.lineTo = function (...place) {
        lines += 1;
        own.apply(this, place);
      };
      view.setScene(long, null);
      await until(() => lines > 10_000);
      let calm = 0;
      while (calm < 4) {
        const before = lines;
        await frames(1);
        calm = lines === before ? calm + 1 : 0;
      }
      const whole = lines;
      lines = 0;
      for (let at = 0; at < 4; at += 1) {
        host.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
        await frames(1);
      }
      const moving = lines;
      await until(() => lines >= whole * 0.9);
      return { whole, moving, rest: lines };
    }""")
    assert strokes["whole"] > 10_000
    assert strokes["moving"] < 100
    assert strokes["rest"] > strokes["whole"] * 0.9


def test_a_long_path_is_stroked_in_slices(parts_page: Page) -> None:
    most = parts_page.evaluate("""async () => {
      const flat = new parts.Flat();
      flat.setPalette(parts.paletteOf(host));
      flat.resize(400, 300);
      flat.setScene(long);
      const camera = new parts.Camera();
      const moment = { seconds: long.totalSeconds, tool: null, toolIndex: 0, colouring: "feed" };
      // The clock goes on with each look at it: a slice is over after a few of them.
      const now = performance.now.bind(performance);
      let looks = 0;
      performance.now = () => (looks += 1) * 3;
      let calls = 1;
      while (!flat.draw(moment, camera, false)) calls += 1;
      performance.now = now;
      const again = flat.draw(moment, camera, false);
      return { calls, again };
    }""")
    assert most["calls"] > 20
    assert most["again"] is True


def test_a_coarse_picture_is_finer_at_rest(parts_page: Page) -> None:
    counts = parts_page.evaluate("""() => {
      const solid = parts.openSolid(() => {});
      if (solid === null) return null;
      let most = 0;
      const own = WebGL2RenderingContext.prototype.drawElements;
      WebGL2RenderingContext.prototype.drawElements = function (mode, count, ...more) {
        most = Math.max(most, count);
        return own.call(this, mode, count, ...more);
      };
      solid.setPalette(parts.paletteOf(host));
      solid.resize(400, 300);
      solid.setScene(scene);
      solid.setRelief({ ...final, nx: 256, ny: 256, heights: new Float32Array(256 * 256) });
      const moment = { seconds: 0, tool: null, toolIndex: 0, colouring: "feed" };
      const cells = (level, rest) => {
        solid.setLevel(level, rest);
        most = 0;
        solid.draw(moment, new parts.Camera(), false);
        return Math.round(Math.sqrt(most / 6));
      };
      const out = [cells(2, false), cells(2, true), cells(0, true)];
      solid.dispose();
      return out;
    }""")
    if counts is None:
        pytest.skip("this Chromium gives no WebGL 2")
    moving, coarse, fine = counts
    assert moving < 140
    assert coarse == fine > 250


def test_a_long_path_is_seen_in_stretches_while_it_is_moved(parts_page: Page) -> None:
    counts = parts_page.evaluate("""() => {
      const solid = parts.openSolid(() => {});
      if (solid === null) return null;
      let points = 0;
      const own = WebGL2RenderingContext.prototype.drawArrays;
      WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
        points += count;
        return own.call(this, mode, first, count);
      };
      solid.setPalette(parts.paletteOf(host));
      solid.resize(400, 300);
      solid.setScene(long);
      solid.setRelief(new parts.Erosion(long, parts.gridOf(long, 64)).relief);
      const drawn = (share, moved) => {
        points = 0;
        const moment = { seconds: share * long.totalSeconds, tool: null, toolIndex: 0, colouring: "feed" };
        solid.draw(moment, new parts.Camera(), moved);
        return points;
      };
      solid.setLevel(3, false);
      const out = { still: drawn(0.5, false), moved: drawn(0.5, true), begun: drawn(0, false), ended: drawn(1, false) };
      solid.setLevel(0, false);
      solid.dispose();
      WebGL2RenderingContext.prototype.drawArrays = own;
      return { ...out, whole: long.segments + 1 };
    }""")
    if counts is None:
        pytest.skip("this Chromium gives no WebGL 2")
    # What is done and what is to come share the points: the segment under way is in both.
    assert counts["whole"] * 0.9 < counts["still"] < counts["whole"] * 1.01
    assert counts["moved"] < counts["whole"] / 3
    assert counts["begun"] == pytest.approx(counts["ended"], rel=0.01)


def test_stretches_are_taken_from_all_of_a_path(parts_page: Page) -> None:
    found = parts_page.evaluate("""() => {
      const all = Uint32Array.from({ length: 100_000 }, (_, at) => at);
      const { chosen, breaks } = parts.sampled(all, 16_384);
      const steps = Array.from(chosen.subarray(1), (point, at) => point - chosen[at]);
      const jumps = steps.flatMap((step, at) => (step === 1 ? [] : [at + 1]));
      const short = parts.sampled(all, 100_000);
      return { count: chosen.length, first: chosen[0], last: chosen.at(-1), jumps, breaks, short: short.chosen.length };
    }""")
    assert found["count"] <= 16_384
    assert (found["first"], found["last"]) == (0, 99_999)
    assert found["jumps"] == found["breaks"]
    assert len(found["breaks"]) == 7
    assert found["short"] == 100_000


@pytest.mark.parametrize(
    ("took", "verdicts"),
    [
        ([5000.0, 20.0, 5000.0, 20.0] * 8, {"stay"}),
        ([5000.0] * 12, {"stay", "flat"}),
        ([200.0] * 5, {"stay", "flat"}),
        ([100.0] * 40, {"stay"}),
    ],
)
def test_a_pause_is_forgiven_and_slowness_is_not(parts_page: Page, took: list[float], verdicts: set[str]) -> None:
    said = parts_page.evaluate(
        "(took) => { const one = new parts.Governor(); return took.map((ms) => one.frame(ms, true)); }", took
    )
    assert set(said) == verdicts

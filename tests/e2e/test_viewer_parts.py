# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer's parts in Chromium: what they show of a moment, of a job's end, under a finger, on a long path."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.viewer_parts import THERE

pytestmark = [pytest.mark.skipif(not THERE, reason="the web tools are not installed"), pytest.mark.timeout(180)]


def test_colours_are_read_however_a_build_writes_them(parts_page: Page) -> None:
    read = parts_page.evaluate("""() => {
      document.documentElement.style.cssText = "--plate: #FFF; --plate-grid: tan; --stock: #4a5a69; --stock-cut: #012";
      const { plate, grid, stock, cut } = parts.paletteOf(host);
      return [plate, grid, stock, cut].map((one) => one.map((value) => Math.round(value * 255)));
    }""")
    assert read == [[255, 255, 255], [210, 180, 140], [74, 90, 105], [0, 17, 34]]


@pytest.mark.parametrize("value", ["", "none", "rgb(1 2 3 / 0.5)", "#12"])
def test_what_is_no_colour_is_refused(parts_page: Page, value: str) -> None:
    said = parts_page.evaluate(
        """(value) => {
          document.documentElement.style.setProperty("--plate", value || " ");
          try { return String(parts.paletteOf(host).plate); } catch (error) { return error.message; }
        }""",
        value,
    )
    assert said == f'The token --plate is "{value}" and not a full colour.'


def test_the_free_part_of_a_picture_holds_the_piece(parts_page: Page) -> None:
    found = parts_page.evaluate("""() => {
      const camera = new parts.Camera();
      const box = { low: [0, 0, -3], high: [60, 60, 0] };
      const out = [];
      for (const insets of [[0, 0, 0, 0], [90, 0, 80, 0], [0, 200, 0, 0]]) {
        const [top, right, bottom, left] = insets;
        camera.insets = { top, right, bottom, left };
        out.push([camera.free(800, 400), camera.eye(box, 800, 400).size]);
      }
      camera.insets = { top: 900, right: 0, bottom: 100, left: 0 };
      out.push([camera.free(800, 400), camera.eye(box, 800, 400).size]);
      return out;
    }""")
    whole, between, beside, crowded = found
    assert whole[0] == {"x": 400, "y": 200, "wide": 800, "high": 400}
    assert between[0] == {"x": 400, "y": 90 + 115, "wide": 800, "high": 230}
    assert between[1] == pytest.approx(whole[1] * 400 / 230)
    assert beside[0] == {"x": 300, "y": 200, "wide": 600, "high": 400}
    assert crowded[0]["high"] == pytest.approx(200)
    assert crowded[0]["y"] == pytest.approx(280)


@pytest.mark.parametrize("kind", ["Flat", "openSolid"])
def test_both_pictures_keep_off_what_lies_on_their_edges(parts_page: Page, kind: str) -> None:
    placed = parts_page.evaluate(
        """(kind) => {
          const picture = kind === "Flat" ? new parts.Flat() : parts.openSolid(() => {});
          if (picture === null) return null;
          picture.setPalette(parts.paletteOf(host));
          picture.setLevel(3, false);
          picture.resize(400, 300);
          picture.setScene(scene);
          const camera = new parts.Camera();
          camera.insets = { top: 100, right: 0, bottom: 20, left: 40 };
          const moment = { seconds: 0, tool: null, toolIndex: 0, colouring: "feed" };
          picture.draw(moment, camera, false);
          const { low, high } = scene.block;
          const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => [0, 1, 2].map((k) => ((at >> k) & 1 ? high : low)[k]));
          const places = corners.map((corner) => picture.pixel(corner));
          const middle = picture.pixel([0, 1, 2].map((k) => (low[k] + high[k]) / 2));
          picture.dispose();
          return { places, middle };
        }""",
        kind,
    )
    if placed is None:
        pytest.skip("this Chromium gives no WebGL 2")
    assert placed["middle"] == pytest.approx([220, 190], abs=0.5)
    across, down = zip(*placed["places"], strict=True)
    assert 40 <= min(across) < max(across) <= 400
    assert 100 <= min(down) < max(down) <= 280


def test_the_stock_is_the_same_whichever_way_one_came_to_a_moment(parts_page: Page) -> None:
    off = parts_page.evaluate("""() => {
      const grid = parts.gridOf(scene, 160);
      const seeker = new parts.Erosion(scene, grid);
      const total = scene.totalSeconds;
      let seed = 7;
      const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      let worst = 0;
      for (let step = 0; step < 60; step += 1) {
        // Small steps both ways stay within a segment, large ones come by the heights that were kept.
        const seconds = step % 3 === 0 ? random() * total : Math.max(0, (seeker.seconds ?? 0) + (random() - 0.4) * 2);
        while (!(seeker.cutTo(seconds, 0.2), seeker.complete));
        const plain = new parts.Erosion(scene, grid);
        plain.cutTo(seconds, Infinity);
        for (let at = 0; at < plain.relief.heights.length; at += 1) {
          worst = Math.max(worst, Math.abs(plain.relief.heights[at] - seeker.relief.heights[at]));
        }
      }
      return worst;
    }""")
    assert off < 1e-4


def test_going_on_within_a_segment_cuts_only_that(parts_page: Page) -> None:
    done = parts_page.evaluate("""() => {
      const erosion = new parts.Erosion(long, parts.gridOf(long, 64));
      const at = 50000;
      const [begin, end] = [long.seconds[at - 1], long.seconds[at]];
      erosion.cutTo(begin + (end - begin) * 0.25, Infinity);
      const tries = [0.5, 0.75, 0.75].map((share) => {
        const changed = erosion.cutTo(begin + (end - begin) * share, -1);
        return [changed, erosion.complete];
      });
      const back = (erosion.cutTo(begin + (end - begin) * 0.5, -1), erosion.complete);
      return [tries, back];
    }""")
    assert done == [[[True, True], [True, True], [False, True]], False]


def test_kept_heights_have_nothing_of_the_next_segment_in_them(parts_page: Page) -> None:
    off = parts_page.evaluate("""() => {
      const every = Math.ceil(long.segments / 16);
      const grid = parts.gridOf(long, 64);
      const erosion = new parts.Erosion(long, grid);
      const moment = (at, share) => long.seconds[at - 1] + (long.seconds[at] - long.seconds[at - 1]) * share;
      erosion.cutTo(moment(every, 0.9), Infinity);
      erosion.cutTo(moment(every + 5, 0.5), Infinity);
      erosion.cutTo(moment(every, 0.1), Infinity);
      const plain = new parts.Erosion(long, grid);
      plain.cutTo(moment(every, 0.1), Infinity);
      return Math.max(...plain.relief.heights.map((height, at) => Math.abs(height - erosion.relief.heights[at])));
    }""")
    assert off < 1e-4


def test_an_unknown_place_has_no_tool(parts_page: Page) -> None:
    shown = parts_page.evaluate("""async () => {
      await opened();
      const out = [];
      for (const tool of [[20, 20, -1], null]) {
        view.setLive({ seconds: 20, tool });
        await frames();
        out.push(seen("--plate-tool"));
      }
      return out;
    }""")
    assert shown[0] > 20
    assert shown[1] == 0


@pytest.mark.parametrize("ended", ["finished", "stopped", None])
def test_after_a_job_there_is_no_tool_and_what_it_has_left(parts_page: Page, ended: str | None) -> None:
    shown = parts_page.evaluate(
        """async (ended) => {
          await opened();
          const half = new parts.Erosion(scene, parts.gridOf(scene, 128));
          half.cutTo(scene.totalSeconds / 4, Infinity);
          view.setLive({ seconds: scene.totalSeconds / 4, tool: [20, 20, -1] });
          view.setTwin(half.relief);
          await frames();
          const during = seen("--plate-tool");
          if (ended === null) view.setLive(null);
          else view.setLive(null, ended);
          view.setTwin(null);
          await frames();
          const after = host.querySelector("canvas").toDataURL();
          view.setLive(null, ended ?? "stopped");
          await frames();
          const same = after === host.querySelector("canvas").toDataURL();
          return { during, after: seen("--plate-tool"), whole: view.seconds === view.total, same };
        }""",
        ended,
    )
    assert shown["during"] > 20
    assert shown["after"] == 0
    assert shown["whole"] is (ended == "finished")
    assert shown["same"] is True


def test_a_stopped_job_leaves_the_machines_own_piece_until_the_next_one(parts_page: Page) -> None:
    levels = parts_page.evaluate("""async () => {
      await opened();
      view.colour("none");
      const shades = () => {
        const canvas = host.querySelector("canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let at = 0; at < data.length; at += 4) sum += data[at];
        return sum;
      };
      const flat = { ...final, heights: new Float32Array(final.heights.length).fill(final.top - 1) };
      view.setLive({ seconds: 10, tool: null });
      view.setTwin(flat);
      await frames();
      const out = [shades()];
      view.setLive(null, "stopped");
      view.setTwin(null);
      await frames();
      out.push(shades());
      view.setLive({ seconds: 0, tool: null });
      await frames();
      out.push(shades());
      return out;
    }""")
    assert levels[1] == levels[0]
    assert levels[2] != levels[0]


def in_space(parts_page: Page, script: str, argument: object = None) -> Any:
    """Run a script after the picture is in space."""
    kind = parts_page.evaluate("""async () => {
      await opened("solid");
      return view.kind;
    }""")
    if kind != "solid":
        pytest.skip("this Chromium gives no WebGL 2")
    return parts_page.evaluate(script, argument)


def test_the_way_it_is_drawn_already_is_not_begun_again(parts_page: Page) -> None:
    same = in_space(
        parts_page,
        """async () => {
          const canvas = host.querySelector("canvas");
          view.choose("solid");
          const kinds = [view.kind];
          await frames(4);
          return [...kinds, view.kind, canvas === host.querySelector("canvas")];
        }""",
    )
    assert same == ["solid", "solid", True]


def test_keys_turn_all_ways_also_where_a_finger_scrolls(parts_page: Page) -> None:
    went = in_space(
        parts_page,
        """async () => {
          close_();
          await opened("solid", { scrolls: true });
          const { azimuth, elevation } = view.camera;
          for (const key of ["ArrowUp", "ArrowRight"]) host.dispatchEvent(new KeyboardEvent("keydown", { key }));
          return [view.camera.azimuth - azimuth, view.camera.elevation - elevation].map(Math.sign);
        }""",
    )
    assert went == [-1, -1]


def test_shaders_are_built_once_and_out_of_sight(parts_page: Page) -> None:
    parts_page.evaluate("""() => {
      window.links = [];
      const own = WebGL2RenderingContext.prototype.linkProgram;
      WebGL2RenderingContext.prototype.linkProgram = function (program) {
        links.push(window.view?.kind ?? null);
        return own.call(this, program);
      };
    }""")
    built = in_space(
        parts_page,
        """async () => {
          await frames(6);
          const first = [...links];
          // Another look, and back: it needs at most one program more, and none again.
          const counts = [];
          for (const path of [long, scene, long, scene]) {
            view.setScene(path, null);
            await frames(6);
            counts.push(links.length - first.length);
          }
          return { first, counts };
        }""",
    )
    assert set(built["first"]) == {"flat"}
    assert 4 <= len(built["first"]) <= 5
    assert built["counts"][0] <= 1
    assert built["counts"][1:] == [built["counts"][-1]] * 3
    assert built["counts"][-1] <= 1


def test_the_wheel_is_the_pages_where_a_finger_scrolls(parts_page: Page) -> None:
    zooms = parts_page.evaluate("""async () => {
      const out = [];
      for (const scrolls of [false, true]) {
        await opened("flat", { scrolls });
        const wheel = new WheelEvent("wheel", { deltaY: -200, cancelable: true });
        host.dispatchEvent(wheel);
        out.push([view.camera.zoom > 1, wheel.defaultPrevented]);
        close_();
      }
      return out;
    }""")
    assert zooms == [[True, True], [False, False]]


def test_a_finger_that_is_gone_again_is_heard_all_the_same(parts_page: Page) -> None:
    moves = parts_page.evaluate("""() => {
      const said = [];
      const other = { drag() {}, step() {}, shift() {}, zoom() {} };
      parts.gestures(host, { ...other, held: (down) => said.push(down), home: () => said.push("home") });
      // No finger has this number: it cannot be captured.
      const down = () => host.dispatchEvent(new PointerEvent("pointerdown", { pointerId: 4711, isPrimary: true }));
      down();
      host.dispatchEvent(new PointerEvent("pointerup", { pointerId: 4711 }));
      down();
      return said;
    }""")
    assert moves == [True, False, True, "home"]

// SPDX-License-Identifier: GPL-3.0-or-later
import "../shared/base.css";
import "./office.css";
import { mount } from "svelte";

import App from "./App.svelte";

const target = document.getElementById("office");
if (target === null) throw new Error("index.html has no element #office.");

mount(App, { target });

// SPDX-License-Identifier: GPL-3.0-or-later
import { mount } from "svelte";
import "../shared/base.css";
import "./console.css";
import App from "./App.svelte";

const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no element #app.");
mount(App, { target });

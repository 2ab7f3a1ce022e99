import { mount } from "svelte";
import Labeller from "./Labeller.svelte";

mount(Labeller, { target: document.getElementById("app") });

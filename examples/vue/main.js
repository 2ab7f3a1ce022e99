import { createApp } from "vue";
import Labeller from "./Labeller.vue";

createApp(Labeller).mount("#app");

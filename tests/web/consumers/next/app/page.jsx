"use client";

import { useEffect } from "react";
import { app } from "../../app.js";

export default function Page() {
  useEffect(() => app(), []);
  return <main>Ocelli</main>;
}

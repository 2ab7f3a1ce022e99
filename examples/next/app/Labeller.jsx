"use client";

import { useEffect, useMemo, useState } from "react";
import { useOcelli } from "./useOcelli.js";

export function Labeller({ source }) {
  const { model, fraction, error } = useOcelli(source);
  const [labels, setLabels] = useState("a cat\na dog\na guitar\na bicycle\na cup of coffee");
  const [photo, setPhoto] = useState();
  const [ranked, setRanked] = useState([]);
  const [failure, setFailure] = useState();
  const address = useMemo(() => photo && URL.createObjectURL(photo), [photo]);

  useEffect(() => {
    if (!model || !photo) return;
    const stop = new AbortController();
    const names = labels.split("\n").filter((name) => name.trim() !== "");
    model
      .classify(photo, names, { template: "a photo of {}.", score: "softmax", signal: stop.signal })
      .then((found) => (setRanked(found), setFailure()))
      .catch((error) => error.code !== "aborted" && setFailure(error));
    return () => stop.abort();
  }, [model, photo, labels]);

  const trouble = error ?? failure;
  const status = !model
    ? `Loading the model: ${Math.round(100 * fraction)}%`
    : "Choose a photo. It stays on this device.";
  return (
    <>
      <h1>Label a photo</h1>
      <p>
        <input type="file" accept="image/*" aria-label="Photo" onChange={({ target }) => setPhoto(target.files[0])} />
      </p>
      <label>
        Labels, one per line
        <textarea rows="5" value={labels} onChange={({ target }) => setLabels(target.value)} />
      </label>
      <p role="status">{trouble?.message ?? (ranked.length ? "Best match first." : status)}</p>
      <ol>
        {ranked.map(({ label, score }) => (
          <li key={label} style={{ "--score": score }}>
            {label} <span>{(100 * score).toFixed(1)}%</span>
          </li>
        ))}
      </ol>
      {address && <img src={address} alt="" onLoad={() => URL.revokeObjectURL(address)} />}
    </>
  );
}

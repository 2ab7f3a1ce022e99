// What the package does with the browser's things while `work` runs: counted, not judged.

/** Replaces a method until it is put back. */
function around(owner, name, make) {
  const own = owner[name];
  owner[name] = make(own);
  return () => (owner[name] = own);
}

/** Runs `work`, whose value or error comes back beside what was seen. */
export async function watch(work) {
  const seen = {
    decoded: 0,
    open: 0,
    mostOpen: 0,
    begun: 0,
    begunBefore: null,
    reads: 0,
    dispatches: 0,
    buffers: 0,
    destroyed: 0,
    readBuffers: 0,
    written: 0,
    textures: 0,
  };
  const restore = [
    around(globalThis, "createImageBitmap", (create) => async (...args) => {
      seen.begun++;
      const bitmap = await create(...args);
      seen.decoded++;
      seen.mostOpen = Math.max(seen.mostOpen, ++seen.open);
      return bitmap;
    }),
    around(
      ImageBitmap.prototype,
      "close",
      (close) =>
        function () {
          if (this.width > 0) seen.open--;
          close.call(this);
        },
    ),
    around(
      GPUBuffer.prototype,
      "mapAsync",
      (map) =>
        function (...args) {
          seen.reads++;
          const mapped = map.apply(this, args);
          mapped.then(
            () => (seen.begunBefore ??= seen.begun),
            () => {},
          );
          return mapped;
        },
    ),
    around(
      GPUDevice.prototype,
      "createBuffer",
      (create) =>
        function (descriptor) {
          seen.buffers++;
          if (descriptor.usage & GPUBufferUsage.MAP_READ) seen.readBuffers++;
          return create.call(this, descriptor);
        },
    ),
    around(
      GPUBuffer.prototype,
      "destroy",
      (destroy) =>
        function () {
          seen.destroyed++;
          return destroy.call(this);
        },
    ),
    around(
      GPUQueue.prototype,
      "writeBuffer",
      (write) =>
        function (...args) {
          const [, , data, , size] = args;
          seen.written += size === undefined ? data.byteLength : size * (data.BYTES_PER_ELEMENT ?? 1);
          return write.apply(this, args);
        },
    ),
    around(
      GPUDevice.prototype,
      "createTexture",
      (create) =>
        function (descriptor) {
          seen.textures++;
          return create.call(this, descriptor);
        },
    ),
    around(
      GPUComputePassEncoder.prototype,
      "dispatchWorkgroups",
      (dispatch) =>
        function (...args) {
          seen.dispatches++;
          return dispatch.apply(this, args);
        },
    ),
  ];
  try {
    return { ...(await work()), seen };
  } finally {
    restore.forEach((put) => put());
  }
}

/** Runs `work` as in a browser that copies video frames to the GPU; how many copies that were comes back. */
export async function copiesVideos(work) {
  let copies = 0;
  const restore = around(
    GPUQueue.prototype,
    "copyExternalImageToTexture",
    (copy) =>
      function (from, ...rest) {
        let { source } = from;
        if (source instanceof HTMLVideoElement) {
          copies++;
          const canvas = new OffscreenCanvas(source.videoWidth, source.videoHeight);
          canvas.getContext("2d").drawImage(source, 0, 0, source.videoWidth, source.videoHeight);
          source = canvas;
        }
        return copy.call(this, { ...from, source }, ...rest);
      },
  );
  try {
    return { ...(await work()), copies };
  } finally {
    restore();
  }
}

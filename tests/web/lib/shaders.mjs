// Drivers that compute something else: shaders that are changed on their way into the browser.

/** For `addInitScript`: in shaders whose label starts with `label` each `from` becomes `to`. */
export function changeShaders([label, changes]) {
  const create = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function ({ code, ...descriptor }) {
    for (const [from, to] of descriptor.label?.startsWith(label) ? changes : []) {
      if (!code.includes(from)) throw new Error(`${descriptor.label}: expected ${from} in the shader`);
      code = code.replaceAll(from, to);
    }
    return create.call(this, { ...descriptor, code });
  };
}

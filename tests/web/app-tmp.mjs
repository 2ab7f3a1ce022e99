import { serve } from "./lib/server.mjs"; import { Report } from "./lib/report.mjs"; import { large } from "./app/tag/large.mjs";
const server = await serve({ "/demo/": "/tmp/tagtry/dist-large" }); const report = new Report();
try { await large({ report, url: `${server.url}demo/index.html` }); } catch (e) { console.log(e); } report.end(); console.log("failed", report.failed); server.close(); process.exit();

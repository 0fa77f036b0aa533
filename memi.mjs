const g=()=>{globalThis.gc?.();const m=process.memoryUsage();return [(m.rss/1048576).toFixed(1),(m.heapUsed/1048576).toFixed(1),(m.external/1048576).toFixed(1)].join(' / ')};
console.log('start',g());
for (const m of ['zod','hono','@hono/node-server','lowdb','eventsource-parser','ws','undici','@pydantic/genai-prices','./dist/daemon/start-daemon.js']) { await import(m); console.log(m,g()); }

// Supabase's API with pgvector, which `lite`'s command line cannot load.
// Arguments: the port, the folder of a database of `lite`'s, the keys, and files of SQL to apply.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { vector } from "@electric-sql/pglite/vector";
import { App } from "@supabase/lite";
import { createPgliteConnection } from "@supabase/lite/pglite";

const [port, url, publishable_key, secret_key, jwt_secret, ...files] = process.argv.slice(2);
const connection = await createPgliteConnection({ url, pgliteOptions: { extensions: { vector } } });
const app = new App({
  connection,
  auth: { enabled: true, publishable_key, secret_key, jwt_secret },
});
for (const file of files) {
  const sql = await readFile(file, "utf8");
  await connection.driver.exec(sql).catch((error) => {
    throw new Error(`${file}: ${error.message}`);
  });
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const answer = await app.fetch(
    new Request(`http://127.0.0.1:${port}${request.url}`, {
      method: request.method,
      headers: request.headers,
      body: chunks.length > 0 ? Buffer.concat(chunks) : undefined,
    }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(Buffer.from(await answer.arrayBuffer()));
}).listen(Number(port), "127.0.0.1", () => console.log("Ready in"));

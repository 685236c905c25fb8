"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { jars, server } = require("./server.js");

test("the server tells what it has, and what it hasn't", async (t) => {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const at = `http://127.0.0.1:${server.address().port}`;
  assert.deepEqual(await (await fetch(`${at}/`)).json(), jars);
  assert.equal((await fetch(`${at}/tar`)).status, 404);
});

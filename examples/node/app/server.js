"use strict";

const http = require("node:http");

const jars = { plum: 3, honey: 1 };

const server = http.createServer((request, response) => {
  const known = request.url === "/";
  response.writeHead(known ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(known ? jars : { error: `no ${request.url} here` }) + "\n");
});

if (require.main === module) {
  server.listen(Number(process.env.PORT));
}

module.exports = { jars, server };

// The emulator answers 500 to a read of an absent item, where Cosmos DB answers 404: its handler
// looks into the item before it asks if there is one. Loaded before the emulator, this mends that.
"use strict";
const fs = require("fs");
const path = require("path");

const library = path.dirname(fs.realpathSync(process.argv[1]));
const handler = require(path.join(library, "handler", "read-document.js"));
const read = handler.default;

handler.default = (account, request, response, names) => {
  try {
    return read(account, request, response, names);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    response.statusCode = 404;
    return { code: "NotFound", message: "Entity with the specified id does not exist." };
  }
};

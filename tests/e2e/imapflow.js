// SPDX-License-Identifier: ISC
// Appends the message on standard input, if there is one, and shows all of INBOX as a JSON list of strings, an octet
// a character: node imapflow.js OPTIONS, as JSON.
'use strict';
const fs = require('fs');
const {ImapFlow} = require('imapflow');

async function main(options, message) {
    const client = new ImapFlow(options);
    await client.connect();
    if (message.length)
        await client.append('INBOX', message);
    await client.mailboxOpen('INBOX');
    const contents = [];
    for await (const mail of client.fetch('1:*', {source: true}))
        contents.push(mail.source.toString('latin1'));
    await client.logout();
    return contents;
}

main(JSON.parse(process.argv[2]), fs.readFileSync(0)).then(
    (contents) => console.log(JSON.stringify(contents)), (error) => {
        console.error(error);
        process.exit(1);
    });

// SPDX-License-Identifier: ISC
// Sends the message on standard input by nodemailer: node nodemailer.js OPTIONS, as JSON.
'use strict';
const fs = require('fs');
const nodemailer = require(process.env.NODEMAILER);

const options = JSON.parse(process.argv[2]);
const mail = {envelope: options.envelope, raw: fs.readFileSync(0)};

nodemailer.createTransport({...options.transport, connectionTimeout: 30000}).sendMail(mail)
    .then((sent) => console.log(sent.response), (error) => {
        console.error(error);
        process.exit(1);
    });

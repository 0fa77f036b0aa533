import { createPassage } from './dist/wire/create-passage.js';
import { framesOf } from './bench/frames.ts';
import { createResponseBody } from './dist/io/response-body.js';
const mk=(client,up,dialect,native)=>createPassage({clientWire:client,upstreamWire:up,upstreamStream:true,clientStream:true,native,dialect,wantsUsage:true,echo:{},includeUsage:true,usage:'client',tools:[],customTools:[]},{makeId:p=>p+'x',nowSeconds:()=>1,model:'m'});
import fs from 'node:fs';
console.log(fs.readFileSync('src/wire/prepared-request.ts','utf8').match(/export interface AnswerPlan[\s\S]*?\n}/)[0]);

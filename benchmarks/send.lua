-- POST with N messages a body. Arguments: messages a body, authorization header, path.
local sent, count, authorization, path, bulk = 0, 1, "", "", nil

local function message(number)
  return string.format('{"source":"bench","from":"+61481074190","to":"+61411%06d","body":"Benchmark message %d"}',
    (number * 7919) % 1000000, number)
end

function init(args)
  count, authorization, path = tonumber(args[1]), args[2], args[3]
  if count > 1 then
    local all = {}
    for number = 1, count do all[number] = message(number) end
    bulk = '{"messages":[' .. table.concat(all, ",") .. ']}'
  end
end

function request()
  sent = sent + 1
  local body = bulk or ('{"messages":[' .. message(sent) .. ']}')
  return wrk.format("POST", path, {["Content-Type"] = "application/json", ["Authorization"] = authorization}, body)
end

function done(summary, latency)
  io.write(string.format('RESULT {"requests":%d,"duration":%.6f,"non2xx":%d,"p50":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

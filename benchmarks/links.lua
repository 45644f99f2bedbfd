-- GET of pages, one after the other, by a telephone. Argument: their paths without a slash at the start, by commas.
local paths, place = {}, 0

function init(args)
  for code in args[1]:gmatch("[^,]+") do table.insert(paths, "/" .. code) end
  wrk.headers["User-Agent"] = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    .. " Chrome/126.0.0.0 Mobile Safari/537.36"
end

function request()
  place = place % #paths + 1
  return wrk.format("GET", paths[place])
end

function done(summary, latency)
  io.write(string.format('RESULT {"requests":%d,"duration":%.6f,"non2xx":%d,"p50":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

%%% A handler of OTP's logger that sends each line to the process in its configuration.
-module(line_handler).

-export([log/2]).

log(#{msg := {Format, Arguments}}, #{config := Pid}) when is_list(Arguments) ->
    Pid ! {line, lists:flatten(io_lib:format(Format, Arguments))};
log(_Report, _Config) ->
    ok.

%%% Properties as EUnit tests.
-module(property).

-export([test/2]).

-include_lib("eunit/include/eunit.hrl").

%% A test that fails with the smallest counterexample that was found.
test(Property, Count) ->
    {timeout, 60, fun() -> ?assertEqual(true, proper:quickcheck(Property, [{numtests, Count}, quiet, long_result])) end}.

%%% Properties as EUnit tests.
-module(property).

-export([test/2]).

-include_lib("eunit/include/eunit.hrl").

%% A test that tries `Count' random cases, and fails with the smallest counterexample.
test(Property, Count) ->
    {timeout, 60, fun() -> ?assertEqual(true, proper:quickcheck(Property, [{numtests, Count}, quiet, long_result])) end}.

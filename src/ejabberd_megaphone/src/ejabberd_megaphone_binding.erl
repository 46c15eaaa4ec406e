%%% @doc Channel binding: ties a login to the client's TLS, which ends at its ECM. What of that TLS SASL has to know is in the ECM's PROXY
%%% header (section 3 of the link protocol). ejabberd cannot check it, and so believes its ECM.
%%%
%%% ejabberd computes channel bindings from its own socket, unless the session's state has some already; a hook puts them there. It also
%%% derives from `stream_encrypted' whether it offers the -PLUS mechanisms, so that the hook sets both, or neither. Versions before 24.12
%%% overwrite or overlook them.
-module(ejabberd_megaphone_binding).

-export([is_possible/0, is_possible_with/1, options/1, c2s_init/2]).

-include("ejabberd_megaphone.hrl").

%% The hook runs for sessions of all listeners; this option is what it knows ours by.
-define(OPTION, ejabberd_megaphone_bindings).
-define(FIRST_VERSION, [24, 12]).

%% @doc Whether this ejabberd takes channel bindings from the hook.
-spec is_possible() -> boolean().
is_possible() ->
    case application:get_key(ejabberd, vsn) of
        {ok, Version} -> is_possible_with(Version);
        undefined -> false
    end.

%% @doc Whether an ejabberd of this version does: `"24.12"', `"23.01-1"'.
-spec is_possible_with(Version :: string()) -> boolean().
is_possible_with(Version) ->
    Numbers = [string:to_integer(Part) || Part <- string:lexemes(Version, ".")],
    [Number || {Number, _} <- Numbers, is_integer(Number)] >= ?FIRST_VERSION.

%% @doc Options for the c2s process of such a client.
-spec options(#client{}) -> [{atom(), term()}].
options(#client{bindings = Bindings}) when map_size(Bindings) > 0 -> [{?OPTION, Bindings}];
options(_Client) -> [].

%% @doc The hook.
-spec c2s_init(Result, Options :: [proplists:property()]) -> Result
          when Result :: {ok, ejabberd_c2s:state()} | {error, term()} | ignore.
c2s_init({ok, State} = Result, Options) ->
    case lists:keyfind(?OPTION, 1, Options) of
        {?OPTION, Bindings} -> {ok, State#{stream_encrypted => true, sasl_channel_bindings => Bindings}};
        false -> Result
    end;
c2s_init(Result, _Options) ->
    Result.

%%% @doc Which link a hello is about (section 7 of the link protocol): the one that it asks to resume, and those that it shows to be of no use
%%% any more. An ECM is known by its name and the listener that has authenticated it; its process by the instance, and a link by its slot.
-module(ejabberd_megaphone_links).

-export([with_hello/3, take_up/4, superseded_by/1]).
-export_type([connecting/0]).

-include("ejabberd_megaphone.hrl").

%% The largest window of an ECM: so many bytes may have to be kept.
-define(MAX_WINDOW, (1 bsl 30)).

%% Where a hello has come from: the listener, the addresses of the connection, and the listener's options.
-type connecting() :: {Listener :: pid(), {endpoint(), endpoint()}, ejabberd_megaphone_shared:key()}.

%% @doc What a link becomes by its hello. `none': there was none.
-spec with_hello(ejabberd_megaphone_control:hello() | none, #options{}, #link{}) -> #link{}.
with_hello(none, _Options, Link) ->
    Link;
with_hello(#{name := Name, max_packet := MaxPacket, resume := Resume} = Hello, Options, Link0) ->
    Link = Link0#link{has_control = true, name = Name, max_out = MaxPacket, pieces = true},
    case identity(Hello, Options) of
        none -> Link;
        %% A packet has to fit into the window, and should not fill it.
        Identity -> Link#link{identity = Identity, window = maps:get(window, Resume), max_out = min(MaxPacket, ?WINDOW div 2),
                              pieces = MaxPacket =< ?WINDOW div 2}
    end.

%% None: the link cannot be resumed.
identity(#{sent_name := Name, resume := #{instance := Instance, slot := Slot, window := Window}},
         #options{listener = Listener, resume_timeout = Timeout}) when Timeout > 0, Window =< ?MAX_WINDOW ->
    {Listener, Name, Instance, Slot};
identity(_Hello, _Options) ->
    none.

%% @doc Takes up the link that a hello asks for, if there is one, for the process that has accepted the connection and hands it over by
%% ejabberd_megaphone_link:connect/4. An old connection of it that still stands is ended. `none': there is no such link. `error': the hello
%% contradicts what was sent on it.
-spec take_up(Listener :: pid(), Addresses :: {endpoint(), endpoint()}, ejabberd_megaphone_control:hello() | none, listener_terms()) ->
          {ok, #link{}, ejabberd_megaphone_link:greeting()} | none | {error, Why :: iolist()}.
take_up(Listener, Addresses, #{resume := #{token := _, received := _}} = Hello, {OptionsKey, _Counters}) ->
    case identity(Hello, ejabberd_megaphone_shared:get(OptionsKey)) of
        none ->
            none;
        Identity ->
            case ets:select(?LINKS, [{#link{owner = '$1', identity = '$2', _ = '_'}, [{'=:=', '$2', {const, Identity}}], ['$1']}]) of
                [] -> none;
                Owners -> take_up(Owners, Hello, {Listener, Addresses, OptionsKey})
            end
    end;
take_up(_Listener, _Addresses, _Hello, _Terms) ->
    none.

%% One of them at most, as others with this identity are about to end.
take_up([], _Hello, _By) ->
    none;
take_up([Owner | Others], Hello, By) ->
    case ejabberd_megaphone_link:take_up(Owner, Hello, By) of
        none -> take_up(Others, Hello, By);
        Answer -> Answer
    end.

%% @doc The owners of other links that a new one replaces: `slot', if it has the slot of that link; `process', if its ECM is another process of
%% the same name.
-spec superseded_by(#link{}) -> [{Owner :: pid(), slot | process}].
superseded_by(#link{identity = none}) ->
    [];
superseded_by(#link{owner = New, identity = {Listener, Name, Instance, Slot}}) ->
    OfName = [{#link{owner = '$1', identity = {'$4', '$5', '$2', '$3'}, _ = '_'},
               [{'=:=', '$4', {const, Listener}}, {'=:=', '$5', {const, Name}}], [['$1', '$2', '$3']]}],
    [{Owner, if Process =:= Instance -> slot; true -> process end}
     || [Owner, Process, Number] <- ets:select(?LINKS, OfName), Owner =/= New, Process =/= Instance orelse Number =:= Slot].

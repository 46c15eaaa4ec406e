%%% @doc Where a user's sessions come from: which ECM has the client, and by which id. For operators, so that the tools of both ends meet.
-module(ejabberd_megaphone_whereabouts).

-export([command/0, sessions/1, of_sessions/1]).

-include("ejabberd_megaphone.hrl").
-include("ejabberd_commands.hrl").
-include_lib("xmpp/include/jid.hrl").

%% @doc For ejabberdctl and ejabberd's API.
-spec command() -> #ejabberd_commands{}.
command() ->
    #ejabberd_commands{name = megaphone_session, tags = [session],
                       desc = "List the sessions of a user, or one of them, that come over a link of ejabberd_megaphone: resource, node, address "
                              "and name of the ECM, and the client's id there, as `megaphone clients' and `megaphone kick' have it",
                       module = ?MODULE, function = sessions, args = [{jid, binary}], args_example = [<<"juliet@example.org">>],
                       result = {sessions, {list, {session, {tuple, [{resource, string}, {node, string}, {peer, string}, {name, string},
                                                                     {client, string}]}}}}}.

%% @doc The sessions of a user with a bare JID, or the one with a full JID; those that are not of a link are left out.
-spec sessions(JID :: binary()) -> [{Resource :: string(), Node :: string(), Peer :: string(), Name :: string(), Client :: string()}].
sessions(Text) ->
    #jid{luser = User, lserver = Server, lresource = Wanted} = jid:decode(Text),
    Resources = if Wanted =:= <<>> -> ejabberd_sm:get_user_resources(User, Server); true -> [Wanted] end,
    Pids = [{Pid, Resource} || Resource <- Resources, Pid <- [ejabberd_sm:get_session_pid(User, Server, Resource)], is_pid(Pid)],
    lists:sort([{unicode:characters_to_list(maps:get(Pid, maps:from_list(Pids))), atom_to_list(Node), Peer, Name, Client}
                || Node <- lists:usort([node(Pid) || {Pid, _} <- Pids]),
                   {Pid, Peer, Name, Client} <- on(Node, [Pid || {Pid, _} <- Pids, node(Pid) =:= Node])]).

%% A node that has gone meanwhile, or has no links, has none of them.
on(Node, Pids) ->
    case rpc:call(Node, ?MODULE, of_sessions, [Pids], 5000) of
        {badrpc, _} -> [];
        Found -> Found
    end.

%% @doc Those of some processes of this node that are sessions of its links. A session that sleeps is not woken: the links' tables are searched.
-spec of_sessions([pid()]) -> [{pid(), Peer :: string(), Name :: string(), Client :: string()}].
of_sessions(Pids) ->
    Of = [{#session{id = '$1', c2s = Pid, _ = '_'}, [], [{{Pid, '$1'}}]} || Pid <- Pids],
    [{Pid, unicode:characters_to_list(ejabberd_megaphone:peer(Link)), unicode:characters_to_list(Name), integer_to_list(Id)}
     || #link{sessions = Sessions, name = Name} = Link <- links(), {Pid, Id} <- found(Sessions, Of)].

links() -> try ets:tab2list(?LINKS) catch error:badarg -> [] end.

found(Sessions, Of) -> try ets:select(Sessions, Of) catch error:badarg -> [] end.

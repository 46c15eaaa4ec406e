using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>Sessions of the module: how they sleep, what floods and slow readers do to them, and that none is left over.</summary>
public sealed class ModuleSessionTests(ModuleServer server) : IClassFixture<ModuleServer>
{
    [Fact]
    public async Task The_function_in_which_sleeping_sessions_wake_up_is_still_there()
    {
        Assert.Equal("true", await server.Ejabberd.EvaluateAsync("erlang:function_exported(p1_server, wake_hib, 6)"));
        Assert.Equal("true", await server.Ejabberd.EvaluateAsync("ejabberd_megaphone_sleep:is_possible()"));
    }

    /// <summary>Section 8 of the protocol. What comes over a link is noted in order.</summary>
    [Fact]
    public async Task The_ECM_hears_of_a_login_before_its_client_gets_the_answer()
    {
        (StanzaEcm link, Func<Task> stop) = await OnListenerOfItsOwnAsync();
        (XmppClient client, ulong id) = link.Open();
        (XmppClient other, _) = link.Open();
        await other.OpenAsync();
        Assert.DoesNotContain(link.Control, message => message.GetProperty("op").GetString() == "loggedIn");
        await client.LogInAsync("juliet", "bed");
        JsonElement loggedIn = Assert.Single(link.Control, message => message.GetProperty("op").GetString() == "loggedIn");
        Assert.Equal([$"{id}"], loggedIn.GetProperty("ids").EnumerateArray().Select(one => one.GetString()));
        await client.LogOutAsync();
        link.Dispose();
        await stop();
    }

    [Theory]
    [InlineData("compact: true", 2700)]
    [InlineData("compact: false", 8000)]
    public async Task An_idle_session_hibernates_with_little_memory_and_wakes_up_unchanged(string option, int bytes)
    {
        (StanzaEcm link, Func<Task> stop) = await OnListenerOfItsOwnAsync("hibernate_after: 1", option);
        (XmppClient sleeper, _) = link.Open();
        (XmppClient waker, _) = link.Open();
        await sleeper.LogInAsync("juliet", "bed");
        await waker.LogInAsync("romeo", "orchard");
        string session = SessionOf("juliet@localhost/bed");

        for (int night = 1; night <= 3; night++)
        {
            await server.Ejabberd.ComesToAsync("{current_function,{erlang,hibernate,3}}", $"process_info({session}, current_function)");
            Assert.InRange(await server.Ejabberd.NumberAsync($"element(2, process_info({session}, memory))"), 1, bytes);

            // Woken by output, and in the second night by input.
            if (night == 2) await sleeper.SettleAsync();
            await waker.SendMessageAsync("juliet@localhost", $"good morning {night}");
            string heard = await sleeper.ExpectAsync($"good morning {night}</body></message>");
            Assert.Contains("from='romeo@localhost/orchard'", heard, StringComparison.Ordinal);
            await sleeper.SendMessageAsync("romeo@localhost/orchard", $"good morning too {night}");
            heard = await waker.ExpectAsync($"good morning too {night}</body></message>");
            Assert.Contains("from='juliet@localhost/bed'", heard, StringComparison.Ordinal);
        }

        await server.Ejabberd.ComesToAsync("{current_function,{erlang,hibernate,3}}", $"process_info({session}, current_function)");
        await sleeper.LogOutAsync();
        await waker.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        link.Dispose();
        await stop();
    }

    [Fact]
    public async Task The_first_sleep_follows_the_login_and_later_ones_come_when_they_are_due()
    {
        (StanzaEcm link, Func<Task> stop) = await OnListenerOfItsOwnAsync("hibernate_after: 600");
        (XmppClient sleeper, _) = link.Open();
        await sleeper.LogInAsync("juliet", "bed");
        string doing = $"process_info({SessionOf("juliet@localhost/bed")}, current_function)";
        const string Asleep = "{current_function,{erlang,hibernate,3}}";

        await server.Ejabberd.ComesToAsync(Asleep, doing);
        await sleeper.SettleAsync();
        await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.NotEqual(Asleep, await server.Ejabberd.EvaluateAsync(doing));

        await sleeper.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        link.Dispose();
        await stop();
    }

    [Fact]
    public async Task A_session_that_slept_for_long_sleeps_again_after_one_packet_and_stays_awake_after_more()
    {
        const int Seconds = 5;
        (StanzaEcm link, Func<Task> stop) = await OnListenerOfItsOwnAsync($"hibernate_after: {Seconds}");
        (XmppClient sleeper, _) = link.Open();
        (XmppClient waker, _) = link.Open();
        await sleeper.LogInAsync("juliet", "bed");
        await waker.LogInAsync("romeo", "orchard");
        string session = SessionOf("juliet@localhost/bed");
        string doing = $"process_info({session}, current_function)";
        const string Asleep = "{current_function,{erlang,hibernate,3}}";

        await server.Ejabberd.ComesToAsync(Asleep, doing);
        await Task.Delay(TimeSpan.FromSeconds(Seconds + 0.5));
        long woken = Environment.TickCount64;
        await waker.SendMessageAsync("juliet@localhost", "good morning");
        await sleeper.ExpectAsync("good morning</body></message>");
        await server.Ejabberd.ComesToAsync(Asleep, doing);
        Assert.True(Environment.TickCount64 - woken < Seconds * 1000, $"asleep again after {Environment.TickCount64 - woken} ms");

        // And what changes meanwhile is not forgotten.
        await waker.SendMessageAsync("juliet@localhost", "are you up?");
        await sleeper.ExpectAsync("are you up?</body></message>");
        await sleeper.SendAsync("<presence><status>not yet</status></presence>");
        await sleeper.ExpectAsync("not yet</status>");
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.NotEqual(Asleep, await server.Ejabberd.EvaluateAsync(doing));
        await server.Ejabberd.ComesToAsync(Asleep, doing);
        Assert.Contains("not yet", await server.Ejabberd.EvaluateAsync($"ejabberd_c2s:get_presence({session})"), StringComparison.Ordinal);

        // A stanza of its own goes through its mailbox twice, as a packet and as an event. (The question above has woken it too.)
        await server.Ejabberd.ComesToAsync(Asleep, doing);
        await Task.Delay(TimeSpan.FromSeconds(Seconds + 0.5));
        woken = Environment.TickCount64;
        await sleeper.SendMessageAsync("romeo@localhost/orchard", "now I am");
        await waker.ExpectAsync("now I am</body></message>");
        await server.Ejabberd.ComesToAsync(Asleep, doing);
        Assert.True(Environment.TickCount64 - woken < Seconds * 1000, $"asleep again after {Environment.TickCount64 - woken} ms");

        await sleeper.LogOutAsync();
        await waker.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        link.Dispose();
        await stop();
    }

    [Fact]
    public async Task A_session_that_has_slept_keeps_its_shaper()
    {
        (StanzaEcm link, Func<Task> stop) = await OnListenerOfItsOwnAsync("hibernate_after: 1", "shaper: [{2000: all}]");
        (XmppClient client, _) = link.Open();
        await client.LogInAsync("juliet", "bed");
        await server.Ejabberd.ComesToAsync(
            "{current_function,{erlang,hibernate,3}}",
            $"process_info({SessionOf("juliet@localhost/bed")}, current_function)");

        // Ten thousand bytes at two thousand a second.
        long began = Environment.TickCount64;
        for (int i = 1; i <= 10; i++)
            await client.SendAsync($"<iq type='get' id='shaped-{i}-' to='localhost'><ping xmlns='urn:xmpp:ping' x='{new string('x', 1000)}'/></iq>");
        await client.ExpectAsync("shaped-10-");

        Assert.True(Environment.TickCount64 - began > 2_000, $"all answered after {Environment.TickCount64 - began} ms");
        await client.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        link.Dispose();
        await stop();
    }

    [Fact]
    public async Task Whitespace_of_clients_does_not_cross_the_link_and_wakes_nobody()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza");
        await ecm.HasLinksAsync(1, "ecm");
        List<XmppClient> clients = [];
        for (int i = 0; i < 100; i++) clients.Add(await XmppClient.ConnectAsync(ecm.Clients));
        await Task.WhenAll(clients.Select(client => client.LogInAsync()));
        string asleep =
            "length([P || {session, {_, P}, _, _, _, _} <- ets:tab2list(session), "
            + "process_info(P, current_function) =:= {current_function, {erlang, hibernate, 3}}])";
        await server.Ejabberd.ComesToAsync("100", asleep);
        long packets = await CounterAsync("packets_in");

        for (int i = 0; i < 200; i++)
        {
            await Task.WhenAll(clients.Select(client => client.SendAsync(i % 2 == 0 ? " " : "\n\t \r")));
        }

        Assert.Equal("100", await server.Ejabberd.EvaluateAsync(asleep));
        // All of the white space has been read before these come through, and they are one packet each.
        await Task.WhenAll(clients.Select(client => client.SettleAsync()));
        Assert.Equal(packets + 100, await CounterAsync("packets_in"));
        await Task.WhenAll(clients.Select(client => client.LogOutAsync()));
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Fact]
    public async Task A_flooding_client_is_paused_without_affecting_others_and_everything_it_sent_is_answered()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient flooder, ulong id) = link.Open();
        (XmppClient one, _) = link.Open();
        (XmppClient other, _) = link.Open();
        foreach (XmppClient client in new[] { flooder, one, other }) await client.LogInAsync();
        string padding = new('x', 2000);
        int sent = 0;
        // Far more than may wait in a session's mailbox, and less than the 16 MiB at which a client that does not stop is reset.
        while (!IsPaused(link, id) && sent < 5_000)
        {
            // In one piece: one by one they might not come faster than they are answered.
            await link.Link.SendRawAsync(Enumerable.Range(sent + 1, 500).SelectMany(number => Packet.Format(
                id, $"<iq type='get' id='flood-{number}-' to='localhost'><ping xmlns='urn:xmpp:ping' x='{padding}'/></iq>")).ToArray());
            sent += 500;
        }

        // All of it may have been sent before the server has handled the first.
        await link.ControlAsync("pause", id);
        for (int i = 0; i < 20; i++)
        {
            await one.SendMessageAsync(other.Address, $"{i} is calm");
            await other.ExpectAsync($"{i} is calm<");
        }

        await link.ControlAsync("resume", id);
        // The server answers in order, so that all are there when the last is.
        string answers = await flooder.ExpectAsync($"flood-{sent}-");
        Assert.Equal(sent, Regex.Count(answers, "flood-[0-9]+-"));
        await flooder.SettleAsync();
        await LogOutAsync(link, flooder, one, other);
    }

    [Fact]
    public async Task A_flood_through_the_ECM_stops_at_the_clients_socket()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza");
        await ecm.HasLinksAsync(1, "ecm");
        using XmppClient flooder = await XmppClient.ConnectAsync(ecm.Clients), one = await XmppClient.ConnectAsync(ecm.Clients);
        await flooder.LogInAsync();
        await one.LogInAsync();
        long pauses = await CounterAsync("pauses");
        string padding = new('x', 2000);
        const int Count = 20_000;
        StringBuilder flood = new();
        for (int i = 1; i <= Count; i++)
        {
            flood.Append(
                CultureInfo.InvariantCulture,
                $"<iq type='get' id='flood-{i}-' to='localhost'><ping xmlns='urn:xmpp:ping' x='{padding}'/></iq>");
        }

        Task flooding = flooder.SendAsync(flood.ToString());
        for (int i = 0; i < 20; i++) await one.SettleAsync();

        string answers = await flooder.ExpectAsync($"flood-{Count}-");
        await BoundedWait.WithinAsync(flooding, "the end of the flood");
        Assert.Equal(Count, Regex.Count(answers, "flood-[0-9]+-"));
        Assert.True(await CounterAsync("pauses") > pauses, "nobody was paused");
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_sessions_closed_total", "role=ecm"]);
        await flooder.LogOutAsync();
        await one.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Fact]
    public async Task Output_for_a_paused_client_is_kept_and_sent_in_order_when_it_is_resumed()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient slow, ulong id) = link.Open();
        (XmppClient one, _) = link.Open();
        await slow.LogInAsync();
        await one.LogInAsync();
        await link.Link.SendControlAsync($$"""{"op":"pause","id":"{{id}}"}""");
        // Told in order: it has been understood when this is answered.
        await one.SettleAsync();

        for (int i = 1; i <= 500; i++) await one.SendMessageAsync(slow.Address, $"n{i}-{new string('x', 1000)}");
        await one.SettleAsync();
        await BoundedWait.NeverAsync(() => slow.Pending.Length > 0, "a paused session is sent something");

        await link.Link.SendControlAsync($$"""{"op":"resume","id":"{{id}}"}""");
        string all = await slow.ExpectAsync("n500-");
        Assert.Equal(
            Enumerable.Range(1, 500),
            Regex.Matches(all, "n([0-9]+)-").Select(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)));
        await LogOutAsync(link, slow, one);
    }

    [Fact]
    public async Task Above_the_bound_the_session_of_a_paused_client_ends_and_no_other()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient slow, ulong id) = link.Open();
        (XmppClient one, _) = link.Open();
        (XmppClient other, _) = link.Open();
        foreach (XmppClient client in new[] { slow, one, other }) await client.LogInAsync();
        await link.Link.SendControlAsync($$"""{"op":"pause","id":"{{id}}"}""");
        await one.SettleAsync();

        for (int i = 1; i <= 5000; i++) await one.SendMessageAsync(slow.Address, $"n{i}-{new string('x', 1000)}");

        JsonElement reset = await link.ControlAsync("reset", id);
        Assert.NotEqual("", reset.GetProperty("reason").GetString());
        await one.SendMessageAsync(other.Address, "it was not us");
        await other.ExpectAsync("it was not us<");
        await server.Ejabberd.ComesToAsync("2", "ets:info(session, size)");
        await LogOutAsync(link, one, other);
    }

    [Fact]
    public async Task A_client_that_does_not_read_loses_its_session_above_the_bound_and_no_other_does()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza", "Ecm:Buffers:HighBytes=65536", "Ecm:Buffers:LowBytes=16384");
        await ecm.HasLinksAsync(1, "ecm");
        using XmppClient slow = await XmppClient.ConnectAsync(ecm.Clients, receiveBuffer: 8 << 10);
        using XmppClient one = await XmppClient.ConnectAsync(ecm.Clients), other = await XmppClient.ConnectAsync(ecm.Clients);
        await one.LogInAsync();
        await other.LogInAsync();
        await slow.LogInAsync();
        slow.StopReading();
        await server.Ejabberd.ComesToAsync("3", "ets:info(session, size)");

        // Headlines, for which no error is returned.
        string news = $"<message type='headline' to='{slow.Address}'><body>{new string('x', 1000)}</body></message>";
        for (int i = 1; i <= 12_000; i++) await one.SendAsync(news);

        await server.Ejabberd.ComesToAsync("2", "ets:info(session, size)");
        await ecm.ReachesAtLeastAsync(1, "megaphone_pauses_total", "role=ecm");
        await ecm.HasClientsAsync(2);
        await one.SendMessageAsync(other.Address, "it was not us");
        await other.ExpectAsync("it was not us<");
        await one.LogOutAsync();
        await other.LogOutAsync();
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    /// <summary>Input that is not XMPP, and the error that its sender gets.</summary>
    /// <summary>In Erlang, the process of a session.</summary>
    private static string SessionOf(string address)
    {
        string[] parts = address.Split('@', '/');
        return $"ejabberd_sm:get_session_pid(<<\"{parts[0]}\">>, <<\"{parts[1]}\">>, <<\"{parts[2]}\">>)";
    }

    private static readonly (string What, string Said, string Condition)[] Wrongs =
    [
        ("a comment", "<!-- who -->", "restricted-xml"),
        ("a processing instruction", "<?php ?>", "restricted-xml"),
        ("a document type", "<!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><message><body>&b;</body></message>", "restricted-xml"),
        ("an entity that is not defined", "<message><body>&bomb;</body></message>", "not-well-formed"),
        ("tags that do not match", "<message><body></message></body>", "not-well-formed"),
        ("tags that do not match, far apart", "<message><a><b><c/></b></a></massage>", "not-well-formed"),
        ("text between stanzas", "<presence/>hello<presence/>", "bad-format"),
        ("an attribute twice", "<message to='a' to='b'/>", "not-well-formed"),
        ("a smaller-than sign in an attribute", "<message to='<presence/>'/>", "not-well-formed"),
        ("the end of CDATA in text", "<message><body>]]></body></message>", "not-well-formed"),
        ("no name", "<></>", "not-well-formed"),
        ("a control character", "<message><body>\u0001</body></message>", "not-well-formed"),
        ("depth", string.Concat(Enumerable.Repeat("<a>", 50_000)), "policy-violation"),
        ("length", $"<message><body>{new string('x', 300_000)}", "policy-violation"),
    ];

    [Fact]
    public async Task No_input_makes_half_an_element_or_two_elements_pass_as_one()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza");
        await ecm.HasLinksAsync(1, "ecm");
        using XmppClient victim = await XmppClient.ConnectAsync(ecm.Clients);
        await victim.LogInAsync();
        foreach ((string what, string said, string condition) in Wrongs)
        {
            using XmppClient offender = await XmppClient.ConnectAsync(ecm.Clients);
            await offender.LogInAsync();

            // What follows must not be handled as a stanza, nor what was before it as a part of one.
            await offender.SendAsync($"{said}<message to='{victim.Address}'><body>smuggled</body></message>");

            string last = await offender.ReceiveToEndAsync();
            Assert.True(last.Contains(condition, StringComparison.Ordinal), $"{what}: {last}");
            await victim.SettleAsync();
            Assert.False(victim.Pending.Contains("smuggled", StringComparison.Ordinal), $"{what}: {victim.Pending}");
        }

        await victim.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Theory]
    [InlineData("reload_config")]
    [InlineData("delete_listener")]
    public async Task A_removed_listener_leaves_no_process_table_hook_or_term_behind(string how)
    {
        await using Ejabberd ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 1");
        string listener = "";
        await ejabberd.ReconfigureAsync(configuration => Listener.Replace(configuration, match => (listener = match.Value)[..0]));
        await AssertNothingOfTheModuleAsync(ejabberd);
        long processes = await SettledAsync(ejabberd, "length(processes())");
        long tables = await ejabberd.NumberAsync("length(ets:all())"), terms = await ejabberd.NumberAsync(Terms);
        await ejabberd.ReconfigureAsync(configuration => configuration.Replace("\nlisten:\n", $"\nlisten:\n{listener}"));
        using StanzaEcm first = await StanzaEcm.ConnectAsync(ejabberd.LinkListener), second = await StanzaEcm.ConnectAsync(ejabberd.LinkListener);
        List<XmppClient> clients = [.. Enumerable.Range(0, 100).Select(i => (i % 2 == 0 ? first : second).Open().Client)];
        foreach (XmppClient client in clients) await client.LogInAsync();
        // Half of them hibernate: those that have sent something since do not.
        await Task.Delay(TimeSpan.FromSeconds(1.5));
        foreach (XmppClient client in clients.Take(50)) await client.SettleAsync();

        if (how == "reload_config")
            await ejabberd.ReconfigureAsync(configuration => Listener.Replace(configuration, ""));
        else
            Assert.Equal("[ok]", await ejabberd.EvaluateAsync("[ejabberd_listener:delete_listener(Listener, ejabberd_megaphone) || "
                + $"{{{{{ejabberd.LinkListener.Port}, _, _}} = Listener, _, _, _}} <- supervisor:which_children(ejabberd_listener)]"));

        await BoundedWait.WithinAsync(Task.WhenAll(first.Reading, second.Reading), "the end of the links");
        Assert.All(clients, client => Assert.EndsWith("</stream:stream>", client.Pending, StringComparison.Ordinal));
        await ejabberd.ComesToAsync("0", "ets:info(session, size)");
        await AssertNothingOfTheModuleAsync(ejabberd);
        await ejabberd.ComesToAsync("true", $"length(processes()) =< {processes}");
        await ejabberd.ComesToAsync("true", $"length(ets:all()) =< {tables}");
        await ejabberd.ComesToAsync("true", $"{Terms} =< {terms}");
    }

    /// <summary>A number that stays the same for a while: what ejabberd does behind its start is over.</summary>
    private static async Task<long> SettledAsync(Ejabberd ejabberd, string erlang)
    {
        long number = -1, looks = 0;
        await BoundedWait.UntilAsync(
            async () =>
            {
                await Task.Delay(BoundedWait.Watch);
                long now = await ejabberd.NumberAsync(erlang);
                looks = now == number ? looks + 1 : 0;
                number = now;
                return looks == 4;
            },
            () => $"{erlang} stays the same, it is {number}");
        return number;
    }

    /// <summary>The module's entry in the list of listeners.</summary>
    private static readonly Regex Listener = new("^  - module: ejabberd_megaphone\n(    .*\n)*", RegexOptions.Multiline);

    /// <summary>How many persistent terms there are, but for those in which Erlang's logger remembers who has ever logged.</summary>
    private const string Terms = "length([K || {K, _} <- persistent_term:get(), not is_tuple(K) orelse element(1, K) =/= logger_config])";

    private static async Task AssertNothingOfTheModuleAsync(Ejabberd ejabberd)
    {
        const string IsOurs = "IsOurs = fun(X) -> string:find(io_lib:format(\"~p\", [X]), \"ejabberd_megaphone\") =/= nomatch end, ";
        await ejabberd.ComesToAsync(
            "[]",
            IsOurs + "[P || P <- processes(), "
            + "IsOurs({process_info(P, [registered_name, initial_call, dictionary]), catch proc_lib:translate_initial_call(P)})]");
        await ejabberd.ComesToAsync("[]", IsOurs + "[T || T <- ets:all(), IsOurs(ets:info(T, name))]");
        await ejabberd.ComesToAsync("[]", IsOurs + "[H || H <- ets:tab2list(hooks), IsOurs(H)]");
        await ejabberd.ComesToAsync("[]", IsOurs + "[K || {K, _} <- persistent_term:get(), IsOurs(K), element(1, K) =/= logger_config]");
        await ejabberd.ComesToAsync("[]", IsOurs + "[C || C <- ets:tab2list(ejabberd_commands), IsOurs(C)]");
    }

    private static bool IsPaused(StanzaEcm link, ulong id) => link.Control.Any(
        message => message.GetProperty("op").GetString() == "pause" && message.GetProperty("id").GetString() == $"{id}");

    private Task<long> CounterAsync(string name) =>
        server.Ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");

    private async Task LogOutAsync(StanzaEcm link, params XmppClient[] clients)
    {
        foreach (XmppClient client in clients) await client.LogOutAsync();
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        link.Dispose();
    }

    /// <summary>A link to a listener with options of its own, and a function that removes that listener.</summary>
    private async Task<(StanzaEcm Link, Func<Task> Stop)> OnListenerOfItsOwnAsync(params string[] options)
    {
        bool isShaped = options.Any(option => option.StartsWith("shaper:", StringComparison.Ordinal));
        (System.Net.IPEndPoint address, Func<Task> stop) = await server.Ejabberd.AddListenerAsync(
            ["module: ejabberd_megaphone", .. isShaped ? options : [.. options, "shaper: none"]]);
        return (await StanzaEcm.ConnectAsync(address), stop);
    }
}

using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Reactor;
using Megaphone.Tests.Handover;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>Whose turn it is to log in (section 8 of the protocol).</summary>
public sealed class LoginsTests : IDisposable
{
    private const int Turn = Logins.TurnMilliseconds;

    private readonly List<ulong> _released = [];
    private readonly HashSet<string> _cut = [];
    private readonly List<Logins> _made = [];
    private long _now = 1000;

    public void Dispose() => _made.ForEach(logins => logins.Dispose());

    [Fact]
    public void As_many_as_are_allowed_have_a_turn_and_the_others_wait_until_one_has_logged_in_or_gone()
    {
        Logins logins = Make(atOnce: 2);
        Assert.Equal([Logins.Answer.Begin, Logins.Answer.Begin, Logins.Answer.Wait, Logins.Answer.Wait], Come(logins, 1, 2, 3, 4));
        Assert.Equal((2, 2), logins.OnLink(0));
        Assert.Equal(Logins.Answer.Wait, logins.Ask(new ConnectionId(3), _now));
        Assert.Empty(_released);

        logins.Remove(new ConnectionId(1), _now);
        Assert.Equal([3ul], _released);
        Assert.Equal(Logins.Answer.Begin, logins.Ask(new ConnectionId(3), _now));
        Assert.Equal(Logins.Answer.Wait, logins.Ask(new ConnectionId(4), _now));
        logins.Remove(new ConnectionId(3), _now);
        Assert.Equal([3ul, 4ul], _released);
        Assert.Equal((0, 2), logins.OnLink(0));
    }

    [Fact]
    public void A_turn_ends_after_five_seconds_and_who_had_it_goes_on_and_takes_no_other()
    {
        Logins logins = Make(atOnce: 1);
        Assert.Equal([Logins.Answer.Begin, Logins.Answer.Wait, Logins.Answer.Wait], Come(logins, 1, 2, 3));
        logins.Begin(new ConnectionId(1));
        logins.Expire(_now + Turn - 1);
        Assert.Empty(_released);
        logins.Expire(_now + Turn);
        Assert.Equal([2ul], _released);
        Assert.Equal(Logins.Answer.GoOn, logins.Ask(new ConnectionId(1), _now + Turn));
        Assert.Equal((1, 1), logins.OnLink(0));
        logins.Remove(new ConnectionId(1), _now + Turn);
        Assert.Equal((1, 1), logins.OnLink(0));

        // The second one has not even begun when its time is over: it is not forgotten.
        logins.Expire(_now + (2 * Turn));
        Assert.Equal([2ul, 3ul], _released);
        Assert.Equal(Logins.Answer.Begin, logins.Ask(new ConnectionId(2), _now + (2 * Turn)));
    }

    [Fact]
    public void Who_asks_ends_the_turns_that_are_over()
    {
        Logins logins = Make(atOnce: 1);
        Come(logins, 1);
        _now += Turn;
        Assert.Equal([Logins.Answer.Begin], Come(logins, 2));
    }

    [Fact]
    public void No_address_has_more_than_a_tenth_of_the_turns()
    {
        Logins logins = Make(atOnce: 20);
        for (ulong id = 1; id <= 5; id++) ComeFrom(1, logins, id);
        Assert.Equal((3, 2), logins.OnLink(0));
        for (ulong id = 11; id <= 15; id++) ComeFrom(2, logins, id);
        Assert.Equal((6, 4), logins.OnLink(0));
        logins.Remove(new ConnectionId(1), _now);
        Assert.Equal([3ul], _released);
    }

    [Fact]
    public void Turns_go_round_by_address_and_within_one_in_order_of_arrival()
    {
        Logins logins = Make(atOnce: 1);
        ComeFrom(9, logins, 99);
        foreach (ulong id in (ulong[])[11, 12, 13, 14]) ComeFrom(1, logins, id);
        foreach (ulong id in (ulong[])[21, 22]) ComeFrom(2, logins, id);
        ComeFrom(3, logins, 31);
        ulong turn = 99;
        for (int i = 0; i < 7; i++)
        {
            logins.Remove(new ConnectionId(turn), _now);
            turn = _released[^1];
        }

        Assert.Equal([11ul, 21, 31, 12, 22, 13, 14], _released);
    }

    [Fact]
    public void Whoever_shares_a_network_by_the_limits_prefixes_shares_its_turns()
    {
        Logins logins = Make(atOnce: 10, new LimitOptions { Ipv4Prefix = 24, Ipv6Prefix = 56 });
        string[] addresses = ["192.0.2.1", "192.0.2.200", "192.0.3.1", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:1:1::1"];
        for (int i = 0; i < addresses.Length; i++) logins.Add(new ConnectionId((ulong)i + 1), "a", 0, Address(addresses[i]), []);
        Assert.Equal(
            [Logins.Answer.Begin, Logins.Answer.Wait, Logins.Answer.Begin, Logins.Answer.Begin, Logins.Answer.Wait, Logins.Answer.Begin],
            addresses.Select((_, i) => logins.Ask(new ConnectionId((ulong)i + 1), _now)));
    }

    [Fact]
    public void Servers_do_not_share_turns()
    {
        Logins logins = Make(atOnce: 1);
        logins.Add(new ConnectionId(1), "a", 0, Address(1), []);
        logins.Add(new ConnectionId(2), "b", 1, Address(1), []);
        logins.Add(new ConnectionId(3), "a", 2, Address(1), []);
        Assert.Equal(
            [Logins.Answer.Begin, Logins.Answer.Begin, Logins.Answer.Wait],
            ((ulong[])[1, 2, 3]).Select(id => logins.Ask(new ConnectionId(id), _now)));
        Assert.Equal([(0, 1), (0, 1), (1, 0)], ((int[])[0, 1, 2]).Select(logins.OnLink));
        logins.Remove(new ConnectionId(2), _now);
        Assert.Empty(_released);
        logins.Remove(new ConnectionId(1), _now);
        Assert.Equal([3ul], _released);
    }

    [Fact]
    public void No_turn_begins_while_a_server_cannot_be_reached()
    {
        Logins logins = Make(atOnce: 2);
        Come(logins, 1);
        _cut.Add("a");
        Assert.Equal([Logins.Answer.Wait], Come(logins, 2));
        logins.Remove(new ConnectionId(1), _now);
        Assert.Empty(_released);
        _cut.Clear();
        logins.Expire(_now);
        Assert.Equal([2ul], _released);
    }

    [Fact]
    public void Who_has_waited_too_long_is_told_so_and_takes_nobodys_turn()
    {
        Logins logins = Make(atOnce: 1, maxWait: Turn - 1000);
        Come(logins, 1);
        Assert.Equal([Logins.Answer.Wait], Come(logins, 2));
        logins.Expire(_now + Turn - 1001);
        Assert.Empty(_released);
        logins.Expire(_now + Turn - 1000);
        Assert.Equal([2ul], _released);
        Assert.Equal(Logins.Answer.TooLate, logins.Ask(new ConnectionId(2), _now));
        Assert.Equal((0, 1), logins.OnLink(0));
        Assert.Equal([Logins.Answer.Wait], Come(logins, 3));
        logins.Remove(new ConnectionId(2), _now);
        logins.Remove(new ConnectionId(1), _now);
        Assert.Equal([2ul, 3ul], _released);
    }

    [Fact]
    public void Who_waits_and_is_said_to_have_logged_in_waits_no_more()
    {
        Logins logins = Make(atOnce: 1);
        Come(logins, 1, 2);
        logins.Remove(new ConnectionId(2), _now);
        Assert.Equal([2ul], _released);
        Assert.Equal(Logins.Answer.GoOn, logins.Ask(new ConnectionId(2), _now));
    }

    [Fact]
    public void Who_is_not_known_may_go_on()
    {
        Logins logins = Make(atOnce: 1);
        Assert.Equal(Logins.Answer.GoOn, logins.Ask(new ConnectionId(7), _now));
        Assert.True(logins.HeaderOf(new ConnectionId(7)).IsEmpty);
        logins.Remove(new ConnectionId(7), _now);
        Assert.Equal(0, logins.Count);
    }

    [Fact]
    public unsafe void A_header_is_kept_until_the_turn_has_begun_and_takes_at_most_256_bytes_with_its_client()
    {
        Logins logins = Make(atOnce: 1);
        byte[] header = Encoding.ASCII.GetBytes(new string('h', PacedClient.MaxHeaderBytes));
        logins.Add(new ConnectionId(1), "a", 0, Address(1), header);
        Assert.Equal(Logins.Answer.Begin, logins.Ask(new ConnectionId(1), _now));
        Assert.Equal(Logins.Answer.Begin, logins.Ask(new ConnectionId(1), _now));
        Assert.Equal(header, logins.HeaderOf(new ConnectionId(1)));
        logins.Begin(new ConnectionId(1));
        Assert.True(logins.HeaderOf(new ConnectionId(1)).IsEmpty);
        Assert.Equal(Logins.Answer.GoOn, logins.Ask(new ConnectionId(1), _now));
        Assert.Equal(256, sizeof(PacedClient) + PacedClient.MaxHeaderBytes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(20)]
    [InlineData(35)]
    public void Whatever_happens_turns_are_given_as_the_rules_say(int atOnce)
    {
        for (int seed = 0; seed < 20; seed++)
        {
            Random random = new(seed);
            int addresses = 1 + random.Next(12), maxWait = Turn * (1 + random.Next(4));
            Logins logins = Make(atOnce, maxWait: maxWait);
            LoginModel model = new(atOnce, maxWait);
            List<ulong> here = [];
            ulong next = 0;
            for (int step = 0; step < 2000; step++)
            {
                _released.Clear();
                model.Begun.Clear();
                model.TooLate.Clear();
                ulong? asks = null, goes = null;
                switch (random.Next(here.Count > 200 ? 2 : 0, 6))
                {
                    case 0 or 1:
                        int address = random.Next(addresses);
                        asks = ++next;
                        here.Add(next);
                        logins.Add(new ConnectionId(next), "a", 0, Address(address), []);
                        Logins.Answer answer = logins.Ask(new ConnectionId(next), _now);
                        model.Ask(next, address, _now);
                        Assert.Equal(model.Begun.Contains(next) ? Logins.Answer.Begin : Logins.Answer.Wait, answer);
                        break;
                    case 2 or 3 when here.Count > 0:
                        int who = random.Next(here.Count);
                        goes = here[who];
                        here.RemoveAt(who);
                        logins.Remove(new ConnectionId(goes.Value), _now);
                        model.Remove(goes.Value, _now);
                        break;
                    case 4:
                        _now += random.Next(Turn / 3);
                        break;
                    default:
                        logins.Expire(_now);
                        model.Expire(_now);
                        break;
                }

                // Who asks need not be released; who leaves is, if it waited.
                Assert.Equal(model.TooLate.Concat(model.Begun).Where(id => id != asks), _released.Where(id => id != goes));
                Assert.Equal((model.Waiting, model.UnderWay), logins.OnLink(0));
                Assert.True(model.UnderWay <= atOnce);
                Assert.All(Enumerable.Range(0, addresses), address => Assert.True(model.TurnsOf(address) <= Math.Max(1, atOnce / 10)));
            }

            foreach (ulong id in here) logins.Remove(new ConnectionId(id), _now);
            Assert.Equal((0, 0, (0, 0)), (logins.Count, logins.Waiting, logins.OnLink(0)));
        }
    }

    [Fact]
    public void After_a_reload_everybody_is_where_he_was()
    {
        Logins logins = Make(atOnce: 2, maxWait: 60_000);
        logins.Add(new ConnectionId(9), "a", 0, Address(9), "silent"u8);
        Come(logins, 1, 2);
        logins.Begin(new ConnectionId(1));
        logins.Remove(new ConnectionId(2), _now);
        _now += 100;
        Come(logins, 3);
        for (ulong id = 4; id <= 6; id++)
        {
            _now++;
            logins.Add(new ConnectionId(id), id == 5 ? "b" : "a", 1, Address(1), "header"u8);
            logins.Ask(new ConnectionId(id), _now);
        }

        _now += 1000;
        Logins next = HandedOver.Copy(writer => logins.Save(writer, _now), reader => Restored(reader, atOnce: 2));
        Assert.Equal([(0, 2), (2, 1)], ((int[])[0, 1]).Select(next.OnLink));
        Assert.Equal(Logins.Answer.GoOn, next.Ask(new ConnectionId(1), _now));
        Assert.Equal(Logins.Answer.Begin, next.Ask(new ConnectionId(5), _now));
        Assert.Equal("header"u8, next.HeaderOf(new ConnectionId(5)));
        Assert.Equal("silent"u8, next.HeaderOf(new ConnectionId(9)));

        // Turns have the rest of their time.
        next.Expire(1000 + Turn);
        Assert.Equal([4ul], _released);
        next.Remove(new ConnectionId(4), _now);
        Assert.Equal([4ul, 6ul], _released);
        next.Expire(1103 + 60_000);
        Assert.Equal(Logins.Answer.Begin, next.Ask(new ConnectionId(9), _now));
    }

    [Fact]
    public void After_a_reload_without_pacing_nobody_waits_any_more()
    {
        Logins logins = Make(atOnce: 1);
        Come(logins, 1, 2, 3);
        Logins next = HandedOver.Copy(writer => logins.Save(writer, _now), reader => Restored(reader, atOnce: 0));
        next.Expire(_now);
        Assert.Equal([2ul, 3ul], _released.Order());
    }

    [Fact]
    public void What_cannot_be_is_not_taken_over()
    {
        Logins logins = Make(atOnce: 1);
        logins.Add(new ConnectionId(1), "a", 0, Address(1), []);
        byte[] body = HandedOver.Body(writer => logins.Save(writer, _now));
        int first = body.Length - 34;
        Assert.Equal(1, BitConverter.ToInt32(body, first - 4));
        byte[] twice = [.. body[..(first - 4)], 2, 0, 0, 0, .. body[first..], .. body[first..]];
        Assert.All(
            [twice, With(first, 0xFF, 8), With(first + 8, 1), With(first + 11, 0xFF), With(first + 12, 0xFF, 8), With(first + 20, 5)],
            damaged => Assert.Throws<StateException>(() => HandedOver.Read(damaged, reader => Restored(reader, atOnce: 1))));

        byte[] With(int at, byte value, int count = 1)
        {
            byte[] copy = [.. body];
            copy.AsSpan(at, count).Fill(value);
            return copy;
        }
    }

    private static ClientAddress Address(int number) => Address($"192.0.2.{number}");

    private static ClientAddress Address(string text) => ClientAddress.Of(new NativeAddress(new IPEndPoint(IPAddress.Parse(text), 5)));

    private Logins Make(int atOnce, LimitOptions? limits = null, int maxWait = 600_000)
    {
        LoginOptions options = new() { AtOnce = atOnce, MaxWait = TimeSpan.FromMilliseconds(maxWait) };
        Logins logins = new(options, limits ?? new LimitOptions(), 10_000, id => _released.Add(id.Value), server => !_cut.Contains(server));
        _made.Add(logins);
        return logins;
    }

    private Logins Restored(StateReader reader, int atOnce)
    {
        Logins next = Make(atOnce, maxWait: 60_000);
        next.Restore(reader, _now);
        return next;
    }

    /// <summary>Clients come, each from an address of its own, and say something.</summary>
    private Logins.Answer[] Come(Logins logins, params ulong[] ids) => [.. ids.Select(id => ComeFrom((int)id, logins, id))];

    private Logins.Answer ComeFrom(int address, Logins logins, ulong id)
    {
        logins.Add(new ConnectionId(id), "a", 0, Address(address), []);
        return logins.Ask(new ConnectionId(id), _now);
    }
}

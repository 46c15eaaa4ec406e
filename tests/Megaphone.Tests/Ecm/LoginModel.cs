using Megaphone.Ecm;

namespace Megaphone.Tests.Ecm;

/// <summary>The rules of section 8 of the protocol for one server, in plain lists: what <see cref="Logins"/> must do as well.</summary>
internal sealed class LoginModel(int atOnce, long maxWait)
{
    private readonly List<Client> _waiting = [];
    private readonly List<Client> _turns = [];
    private readonly List<int> _round = [];

    /// <summary>The clients whose turns have begun, in that order; cleared by the test.</summary>
    public List<ulong> Begun { get; } = [];

    /// <summary>The clients that waited too long, in that order; cleared by the test.</summary>
    public List<ulong> TooLate { get; } = [];

    public int Waiting => _waiting.Count;

    public int UnderWay => _turns.Count;

    public int TurnsOf(int address) => _turns.Count(client => client.Address == address);

    private int MostOfAddress => Math.Max(1, atOnce / 10);

    public void Ask(ulong id, int address, long now)
    {
        Expire(now);
        _waiting.Add(new Client(id, address, now));
        Reconsider(address);
        Pump(now);
    }

    public void Remove(ulong id, long now)
    {
        if (_waiting.Find(client => client.Id == id) is { } waits) Leave(_waiting, waits);
        if (_turns.Find(client => client.Id == id) is { } turn) Leave(_turns, turn);
        Pump(now);
    }

    public void Expire(long now)
    {
        foreach (Client client in _turns.Where(client => now - client.Since >= Logins.TurnMilliseconds).ToList()) Leave(_turns, client);
        foreach (Client client in _waiting.Where(client => now - client.Since >= maxWait).ToList())
        {
            Leave(_waiting, client);
            TooLate.Add(client.Id);
        }

        Pump(now);
    }

    private void Pump(long now)
    {
        while (_turns.Count < atOnce && _round.Count > 0)
        {
            int address = _round[0];
            _round.RemoveAt(0);
            Client first = _waiting.First(client => client.Address == address);
            _waiting.Remove(first);
            _turns.Add(first with { Since = now });
            Begun.Add(first.Id);
            Reconsider(address);
        }
    }

    private void Leave(List<Client> clients, Client client)
    {
        clients.Remove(client);
        Reconsider(client.Address);
    }

    private void Reconsider(int address)
    {
        bool belongs = _waiting.Exists(client => client.Address == address) && TurnsOf(address) < MostOfAddress;
        if (!belongs) _round.Remove(address);
        else if (!_round.Contains(address)) _round.Add(address);
    }

    private sealed record Client(ulong Id, int Address, long Since);
}

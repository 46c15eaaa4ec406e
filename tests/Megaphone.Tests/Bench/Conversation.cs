using System.Text;
using Megaphone.Bench;

namespace Megaphone.Tests.Bench;

/// <summary>One played client without a network: what the server says goes in, what the client says comes out.</summary>
internal sealed class Conversation : ISessionCarrier, IDisposable
{
    private const int Index = 6;

    private readonly SessionStore _sessions = new(8);
    private readonly List<string> _said = [];

    /// <summary>A client that has sent its header.</summary>
    public Conversation(LoginMethod method = LoginMethod.Anonymous)
    {
        Play = new XmppPlay(new LoginMachine(new LoginOptions { Method = method, Domain = "capulet.example" }), _sessions, new Tally());
        Play.Open(Index, 0);
    }

    public XmppPlay Play { get; }

    /// <summary>How many answers there is room for.</summary>
    public int Room { get; init; } = 10;

    public ref BenchSession Session => ref _sessions[Index];

    /// <summary>Everything that went wrong, by kind.</summary>
    public IEnumerable<string> Problems => Play.Problems.Kinds.Select(kind => kind.Kind);

    /// <summary>A client that is logged in as <c>juliet@capulet.example</c>.</summary>
    public static Conversation LoggedIn()
    {
        Conversation conversation = new();
        conversation.Hear("<stream:stream xmlns:stream='s'><stream:features><mechanisms><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>");
        conversation.Hear("<success/>");
        conversation.Hear("<stream:stream xmlns:stream='s'><stream:features><bind/></stream:features>");
        conversation.Hear("<iq type='result' id='bind'><bind><jid>juliet@capulet.example/bench</jid></bind></iq>");
        return conversation;
    }

    /// <summary>The server says something; empty: its end.</summary>
    /// <returns>What the client says to that, one line for each packet; <c>END</c> for the end.</returns>
    public string Hear(string text)
    {
        _said.Clear();
        Play.Take(this, Index, Encoding.UTF8.GetBytes(text));
        return string.Join('\n', _said);
    }

    public bool TryReply(int index, ReadOnlySpan<byte> piece)
    {
        if (index != Index || _said.Count == Room) return false;
        _said.Add(piece.IsEmpty ? "END" : Encoding.UTF8.GetString(piece));
        return true;
    }

    public void Dispose()
    {
        Play.Release(Index);
        _sessions.Dispose();
    }
}

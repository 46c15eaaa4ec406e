using System.Text;
using Megaphone.Bench;

namespace Megaphone.Tests.Bench;

/// <summary>One client without a network: what the server sends goes in, what the client sends comes out.</summary>
internal sealed class Conversation : IReplySender, IDisposable
{
    private const int Index = 6;

    private readonly SessionStore _sessions = new(8);
    private readonly List<string> _said = [];

    /// <summary>A client that has sent its header.</summary>
    public Conversation(LoginMethod method = LoginMethod.Anonymous, bool managesStream = false, bool asksForRoster = false)
    {
        LoginOptions options = new()
        {
            Method = method,
            Domain = "capulet.example",
            ManagesStream = managesStream,
            AsksForRoster = asksForRoster,
        };
        Clients = new XmppClients(new LoginMachine(options), _sessions, new ProblemCounts());
        Clients.Open(Index, 0);
    }

    public XmppClients Clients { get; }

    /// <summary>How many answers there is room for.</summary>
    public int Room { get; init; } = 10;

    public ref BenchSession Session => ref _sessions[Index];

    /// <summary>The kinds of problems so far.</summary>
    public IEnumerable<string> Problems => Clients.Problems.Kinds.Select(kind => kind.Kind);

    /// <summary>A client that is logged in as <c>juliet@capulet.example</c>.</summary>
    public static Conversation LoggedIn()
    {
        Conversation conversation = new();
        conversation.Bind();
        return conversation;
    }

    /// <summary>Goes through the login up to the address that the client is bound to.</summary>
    /// <returns>What the client answers to that.</returns>
    public string Bind()
    {
        Hear(
            "<stream:stream xmlns:stream='s'><stream:features><mechanisms><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>");
        Hear("<success/>");
        Hear("<stream:stream xmlns:stream='s'><stream:features><bind/></stream:features>");
        return Hear("<iq type='result' id='bind'><bind><jid>juliet@capulet.example/bench</jid></bind></iq>");
    }

    /// <summary>The server sends something; empty: the end of its stream.</summary>
    /// <returns>What the client answers, one line for each packet; <c>END</c> for the end of its stream.</returns>
    public string Hear(string text)
    {
        _said.Clear();
        Clients.Receive(this, Index, Encoding.UTF8.GetBytes(text));
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
        Clients.Release(Index);
        _sessions.Dispose();
    }
}

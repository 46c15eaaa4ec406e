using System.Text;
using System.Text.RegularExpressions;
using Megaphone.Admin;
using Megaphone.Operator;
using Xunit;

namespace Megaphone.Tests.Admin;

/// <summary>The status page needs nothing but itself and <c>/status.json</c>, and reads nothing there that is not in it.</summary>
public class StatusPageTests
{
    private static readonly string Page = Encoding.UTF8.GetString(StatusPage.Html);

    /// <summary>What the page's script calls each part of the status.</summary>
    private static readonly Dictionary<string, Type> Parts = new()
    {
        ["status"] = typeof(StatusReport),
        ["resources"] = typeof(ResourceStatus),
        ["reloads"] = typeof(ReloadStatus),
        ["reload"] = typeof(PastReload),
        ["role"] = typeof(RoleStatus),
        ["listener"] = typeof(ListenerReport),
        ["server"] = typeof(ServerReport),
        ["link"] = typeof(LinkReport),
        ["count"] = typeof(CountReport),
        ["certificate"] = typeof(CertificateReport),
    };

    [Fact]
    public void It_loads_nothing_from_elsewhere()
    {
        Assert.DoesNotMatch(@"(?i)\bsrc\s*=|@import|url\(|<iframe|<object|<form", Page);
        Assert.Equal(["http://www.w3.org/2000/svg"], Found(@"(https?://[^\s""']+)"));
        Assert.Equal(["data:,"], Found(@"<link [^>]*href=""([^""]*)"""));
        Assert.Equal(["status.json"], Found(@"fetch\(""([^""]*)"""));
    }

    [Fact]
    public void Its_policy_allows_its_own_style_and_script_and_nothing_else()
    {
        Assert.StartsWith("default-src 'none'; style-src 'sha256-", StatusPage.ContentSecurityPolicy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", StatusPage.ContentSecurityPolicy, StringComparison.Ordinal);
        Assert.Contains("connect-src 'self'", StatusPage.ContentSecurityPolicy, StringComparison.Ordinal);

        // What that policy would not let pass, and what would make text of others into a part of the page.
        Assert.DoesNotMatch(@"\bstyle\s*=\s*""|\bon[a-z]+\s*=\s*""|javascript:|innerHTML|insertAdjacentHTML|document\.write|eval\(", Page);
        Assert.Equal(["<style>", "<script>"], Found("(<style>|<script>)"));
    }

    [Fact]
    public void Every_field_that_it_reads_is_one_of_the_status()
    {
        string script = Page[Page.IndexOf("<script>", StringComparison.Ordinal)..];
        foreach ((string part, Type type) in Parts)
        {
            string[] read = [.. Regex.Matches(script, $@"\b{part}\.([a-zA-Z]+)").Select(match => match.Groups[1].Value).Distinct()];
            Assert.NotEmpty(read);
            IEnumerable<string> there = OperatorJson.Default.GetTypeInfo(type)!.Properties.Select(property => property.Name);
            Assert.Empty(read.Except(there).Except(part == "status" ? ["json"] : Array.Empty<string>()));
        }
    }

    [Fact]
    public void It_is_for_phones_and_for_the_dark()
    {
        Assert.Contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">", Page, StringComparison.Ordinal);
        Assert.Contains("@media (prefers-color-scheme: dark)", Page, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Found(string pattern) => Regex.Matches(Page, pattern).Select(match => match.Groups[1].Value);
}

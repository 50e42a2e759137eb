//! Twenty web pages: half about the tasks, with code, half about other things.

use super::Task;

const OTHER: &[&str] = &[
    "The harbour was built when ships grew too large for the old quay.",
    "Bread rises faster in a warm kitchen, but it tastes better after a cold night.",
    "Birds that winter in the south come back when the first insects fly.",
    "The museum opens at ten and shows maps of the coast on its first floor.",
    "A bicycle chain lasts longer when it is cleaned before it is oiled.",
    "The orchestra plays the second symphony without a break between its parts.",
    "Tomatoes want sun from morning to evening and dry leaves.",
    "The train along the river takes twice as long and is worth it.",
    "Wool keeps warm even when it is wet, which cotton does not.",
    "The mountain hut has forty beds and a stove that is lit at five.",
];

/// Address and HTML of each page.
pub(super) fn pages(tasks: &[Task]) -> Vec<(String, String)> {
    let about = tasks.iter().take(10).map(|task| {
        let body = format!(
            "<h1>How to write {}</h1><p>{}</p><pre><code class=\"language-python\">{}</code></pre>",
            task.name,
            task.explanation,
            task.code
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        );
        (format!("https://example.org/{}", task.name), page(&body))
    });
    let other = OTHER.iter().enumerate().map(|(at, text)| {
        (
            format!("https://example.org/other-{at}"),
            page(&format!("<h1>Notes of this week</h1><p>{text}</p>")),
        )
    });
    about.chain(other).collect()
}

/// A page as pages are: navigation, an advertisement, a script, a footer.
fn page(body: &str) -> String {
    format!(
        "<!doctype html><html><head><title>x</title><style>p {{ margin: 0 }}</style></head><body>\
         <nav><ul><li><a href=/>Home of this site</a></li><li><a href=/all>All of the pages</a></li></ul></nav>\
         <div class=\"advert box\">Buy the very best keyboards today</div>{body}\
         <script>if (a < b) {{ track('<p>not text at all</p>') }}</script>\
         <footer>All rights are reserved here</footer></body></html>"
    )
}
